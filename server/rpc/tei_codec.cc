#include "server/rpc/tei_codec.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "google/protobuf/arena.h"
#include "model/predictions.h"
#include "server/rpc/classify_codec.h"
#include "server/rpc/message_bytes.h"
#include "server/rpc/message_parts.h"
#include "server/rpc/request_codec.h"
#include "server/rpc/wire_scan.h"
#include "tei/v1/tei.pb.h"

namespace octet::rpc {
namespace {

namespace tei = ::tei::v1;

constexpr WireField kTeiEmbedFields[] = {
    {tei::EmbedRequest::kInputsFieldNumber, "inputs", /*is_text=*/true},
    {tei::EmbedRequest::kPromptNameFieldNumber, "prompt_name"},
};
constexpr WireField kPredictFields[] = {{tei::PredictRequest::kInputsFieldNumber, "inputs", /*is_text=*/true}};
constexpr WireField kPredictPairFields[] = {
    {tei::PredictPairRequest::kInputsFieldNumber, "inputs", /*is_text=*/true, /*is_repeated=*/true}};
constexpr WireField kRerankFields[] = {
    {tei::RerankRequest::kQueryFieldNumber, "query"},
    {tei::RerankRequest::kTextsFieldNumber, "texts", /*is_text=*/true, /*is_repeated=*/true},
};
constexpr WireField kRerankStreamFields[] = {
    {tei::RerankStreamRequest::kQueryFieldNumber, "query"},
    {tei::RerankStreamRequest::kTextFieldNumber, "text", /*is_text=*/true},
};

// Scans and parses one message, and takes what all of them have.
template <typename Message>
absl::StatusOr<std::unique_ptr<ArenaParsed<Message, ParsedTei>>> ParseMessage(const grpc::ByteBuffer& bytes,
                                                                              std::span<const WireField> fields,
                                                                              size_t max_texts,
                                                                              const RequestLimits& limits) {
  const char* const name = Message::descriptor()->name().c_str();
  ASSIGN_OR_RETURN(const grpc::Slice slice, Flatten(bytes));
  const absl::string_view pieces[] = {View(slice)};
  RETURN_IF_ERROR(ScanMessage(pieces, name, fields, {.max_texts = max_texts, .max_text_bytes = limits.max_text_bytes}));
  auto parsed = std::make_unique<ArenaParsed<Message, ParsedTei>>();
  if (!parsed->Parse(pieces)) return InvalidRequest(absl::StrCat("request: not a valid ", name));
  const Message& message = parsed->message();
  if (!tei::TruncationDirection_IsValid(message.truncation_direction())) {
    return InvalidRequest(
        absl::StrCat("truncation_direction: unknown value ", static_cast<int>(message.truncation_direction())));
  }
  parsed->request.truncate = message.truncate();
  if (message.truncation_direction() == tei::TRUNCATION_DIRECTION_LEFT) {
    parsed->request.truncation_side = text::TruncationSide::kLeft;
  }
  return parsed;
}

// What requests to classify have besides.
template <typename Message>
absl::StatusOr<std::unique_ptr<ArenaParsed<Message, ParsedTei>>> ParseClassification(const grpc::ByteBuffer& bytes,
                                                                                     std::span<const WireField> fields,
                                                                                     size_t max_texts,
                                                                                     const RequestLimits& limits) {
  ASSIGN_OR_RETURN(auto parsed, ParseMessage<Message>(bytes, fields, max_texts, limits));
  parsed->request.task = model::Task::kClassification;
  parsed->raw_scores = parsed->message().raw_scores();
  return parsed;
}

void AddInput(const serving::TextInput& input, ParsedTei* parsed) {
  parsed->request.texts.push_back(input);
  parsed->num_chars += CountChars(input.text) + CountChars(input.pair.value_or(""));
}

// A query is no text to count, but as long as one at most.
absl::Status CheckQuery(absl::string_view query, const RequestLimits& limits) {
  if (query.size() <= limits.max_text_bytes) return absl::OkStatus();
  return TooLong(absl::StrCat("query: ", query.size(), " bytes, limit ", limits.max_text_bytes));
}

// Of a Rank beside its text: tags, index, score.
constexpr size_t kBytesPerRank = 24;

absl::Status CheckRerankResponseSize(const ParsedTei& parsed, const RequestLimits& limits) {
  size_t bytes = kBytesPerResponse;
  bytes += parsed.request.texts.size() * kBytesPerRank;
  for (const absl::string_view text : parsed.texts_to_return) bytes += text.size();
  return CheckResponseBytes(bytes, limits);
}

// The messages of a stream, which the texts are in.
class ParsedRerankStream final : public ParsedTei {
 public:
  std::vector<std::unique_ptr<ParsedTei>> messages;
};

void SetMetadata(const serving::Response& response, const ParsedTei& request, absl::Duration total_time,
                 tei::Metadata* metadata) {
  const auto ns = [](absl::Duration d) { return static_cast<uint64_t>(absl::ToInt64Nanoseconds(d)); };
  metadata->set_compute_chars(request.num_chars);
  metadata->set_compute_tokens(TotalTokens(response));
  metadata->set_total_time_ns(ns(total_time));
  metadata->set_tokenization_time_ns(ns(response.tokenize_time));
  metadata->set_queue_time_ns(ns(response.queue_time));
  metadata->set_inference_time_ns(ns(response.compute_time));
}

model::ScoreActivation ActivationOf(bool raw_scores, size_t num_labels) {
  if (raw_scores) return model::ScoreActivation::kRaw;
  return num_labels > 1 ? model::ScoreActivation::kSoftmax : model::ScoreActivation::kSigmoid;
}

}  // namespace

ParsedTeiOr ParseTeiEmbed(const grpc::ByteBuffer& bytes, const RequestLimits& limits) {
  ASSIGN_OR_RETURN(auto parsed, ParseMessage<tei::EmbedRequest>(bytes, kTeiEmbedFields, /*max_texts=*/1, limits));
  const tei::EmbedRequest& message = parsed->message();
  serving::Request& request = parsed->request;
  AddInput(message.inputs(), parsed.get());
  request.normalize = message.has_normalize() ? message.normalize() : true;
  if (message.has_prompt_name()) request.prompt_name = message.prompt_name();
  if (message.has_dimensions()) request.dimensions = message.dimensions();
  RETURN_IF_ERROR(CheckEmbedResponseSize(request, limits));
  return parsed;
}

ParsedTeiOr ParseTeiPredict(const grpc::ByteBuffer& bytes, const RequestLimits& limits) {
  ASSIGN_OR_RETURN(auto parsed,
                   ParseClassification<tei::PredictRequest>(bytes, kPredictFields, /*max_texts=*/1, limits));
  parsed->request.texts_name = "inputs";
  AddInput(parsed->message().inputs(), parsed.get());
  return parsed;
}

ParsedTeiOr ParseTeiPredictPair(const grpc::ByteBuffer& bytes, const RequestLimits& limits) {
  constexpr int kNumTexts = 2;
  ASSIGN_OR_RETURN(auto parsed,
                   ParseClassification<tei::PredictPairRequest>(bytes, kPredictPairFields, kNumTexts, limits));
  const auto& inputs = parsed->message().inputs();
  if (inputs.size() != kNumTexts) {
    return InvalidRequest(absl::StrCat("inputs: ", inputs.size(), " items, ", kNumTexts, " are needed"));
  }
  parsed->request.texts_name = "inputs";
  AddInput({inputs[0], inputs[1]}, parsed.get());
  return parsed;
}

ParsedTeiOr ParseTeiRerank(const grpc::ByteBuffer& bytes, const RequestLimits& limits) {
  ASSIGN_OR_RETURN(auto parsed,
                   ParseClassification<tei::RerankRequest>(bytes, kRerankFields, limits.max_texts, limits));
  const tei::RerankRequest& message = parsed->message();
  RETURN_IF_ERROR(CheckQuery(message.query(), limits));
  if (message.texts().empty()) return InvalidRequest("texts: empty");
  parsed->request.num_labels = 1;
  for (const std::string& text : message.texts()) {
    AddInput({message.query(), text}, parsed.get());
    if (message.return_text()) parsed->texts_to_return.emplace_back(text);
  }
  RETURN_IF_ERROR(CheckRerankResponseSize(*parsed, limits));
  return parsed;
}

ParsedTeiOr ParseTeiRerankStream(std::span<const grpc::ByteBuffer> messages, const RequestLimits& limits) {
  if (messages.empty()) return InvalidRequest("request: no message on the stream");
  if (messages.size() > limits.max_texts) {
    return InvalidRequest(absl::StrCat("texts: ", messages.size(), " items, limit ", limits.max_texts));
  }
  auto all = std::make_unique<ParsedRerankStream>();
  bool return_text = false;
  for (const grpc::ByteBuffer& bytes : messages) {
    ASSIGN_OR_RETURN(auto parsed, ParseClassification<tei::RerankStreamRequest>(bytes, kRerankStreamFields,
                                                                                /*max_texts=*/1, limits));
    const tei::RerankStreamRequest& message = parsed->message();
    RETURN_IF_ERROR(CheckQuery(message.query(), limits));
    if (all->messages.empty()) {
      all->request = parsed->request;
      all->request.num_labels = 1;
      all->raw_scores = parsed->raw_scores;
      return_text = message.return_text();
    } else if (parsed->request.truncate != all->request.truncate ||
               parsed->request.truncation_side != all->request.truncation_side) {
      return InvalidRequest("truncate or truncation_direction: differs between messages, one value is needed");
    }
    AddInput({message.query(), message.text()}, all.get());
    if (return_text) all->texts_to_return.emplace_back(message.text());
    all->messages.push_back(std::move(parsed));
  }
  RETURN_IF_ERROR(CheckRerankResponseSize(*all, limits));
  return all;
}

absl::Status CheckPredictResponseSize(const serving::ServedModel& served, const RequestLimits& limits) {
  return CheckResponseBytes(PredictionBytes(served.model->info(), /*top_k=*/0) + kBytesPerResponse, limits);
}

grpc::ByteBuffer EncodeTeiEmbedResponse(const serving::Response& response, const ParsedTei& request,
                                        absl::Duration total_time) {
  tei::EmbedResponse message;
  message.mutable_embeddings()->Add(response.outputs.begin(), response.outputs.end());
  SetMetadata(response, request, total_time, message.mutable_metadata());
  return Serialize(message);
}

grpc::ByteBuffer EncodeTeiPredictResponse(const serving::Response& response, const ParsedTei& request,
                                          absl::Duration total_time) {
  const std::vector<std::string>& labels = response.served->model->info().labels;
  tei::PredictResponse message;
  const auto predictions =
      model::Predict(response.output(0), {.activation = ActivationOf(request.raw_scores, labels.size())});
  for (const model::Prediction& prediction : predictions) {
    tei::Prediction& added = *message.add_predictions();
    added.set_score(prediction.score);
    added.set_label(labels[prediction.label_idx]);
  }
  SetMetadata(response, request, total_time, message.mutable_metadata());
  return Serialize(message);
}

grpc::ByteBuffer EncodeTeiRerankResponse(const serving::Response& response, const ParsedTei& request,
                                         absl::Duration total_time) {
  // One logit for each text, so the texts are ranked as labels are; a sigmoid takes each by itself.
  const auto ranks =
      model::Predict(response.outputs, {.activation = ActivationOf(request.raw_scores, /*num_labels=*/1)});
  tei::RerankResponse message;
  for (const model::Prediction& rank : ranks) {
    tei::Rank& added = *message.add_ranks();
    added.set_index(rank.label_idx);
    if (!request.texts_to_return.empty()) added.set_text(std::string(request.texts_to_return[rank.label_idx]));
    added.set_score(rank.score);
  }
  SetMetadata(response, request, total_time, message.mutable_metadata());
  return Serialize(message);
}

}  // namespace octet::rpc
