#include "server/rpc/classify_codec.h"

#include <algorithm>
#include <cmath>
#include <span>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "server/rpc/message_bytes.h"
#include "server/rpc/message_parts.h"
#include "server/rpc/wire_scan.h"

namespace octet::rpc {
namespace {

constexpr WireField kTextInputFields[] = {
    {v1::TextInput::kTextFieldNumber, "text", /*is_text=*/true},
    {v1::TextInput::kPairFieldNumber, "pair", /*is_text=*/true},
};
constexpr WireField kClassifyFields[] = {
    {v1::ClassifyRequest::kModelFieldNumber, "model"},
    {v1::ClassifyRequest::kInputsFieldNumber, "inputs", /*is_text=*/true, /*is_repeated=*/true, kTextInputFields},
};

// Of a prediction beside its label: tags, lengths, index, score.
constexpr size_t kBytesPerPrediction = 24;

struct ModeName {
  v1::ScoreMode mode;
  model::ScoreActivation activation;
};
constexpr ModeName kModes[] = {
    {v1::SCORE_MODE_SOFTMAX, model::ScoreActivation::kSoftmax},
    {v1::SCORE_MODE_SIGMOID, model::ScoreActivation::kSigmoid},
    {v1::SCORE_MODE_RAW, model::ScoreActivation::kRaw},
};

v1::ScoreMode ModeOf(model::ScoreActivation activation) {
  for (const ModeName& entry : kModes) {
    if (entry.activation == activation) return entry.mode;
  }
  return v1::SCORE_MODE_UNSPECIFIED;
}

absl::Status SetScores(const v1::ClassifyRequest& message, ParsedClassify* parsed) {
  if (!v1::ScoreMode_IsValid(message.score_mode())) {
    return InvalidRequest(absl::StrCat("score_mode: unknown value ", static_cast<int>(message.score_mode())));
  }
  for (const ModeName& entry : kModes) {
    if (entry.mode == message.score_mode()) parsed->activation = entry.activation;
  }
  if (message.has_top_k()) parsed->top_k = message.top_k();
  if (message.has_threshold()) {
    if (!std::isfinite(message.threshold())) return InvalidRequest("threshold: not a finite number");
    parsed->threshold = message.threshold();
  }
  parsed->with_logits = message.with_logits();
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<ParsedClassify>> ParsePieces(std::span<const absl::string_view> pieces,
                                                            const RequestLimits& limits) {
  RETURN_IF_ERROR(ScanMessage(pieces, "ClassifyRequest", kClassifyFields,
                              {.max_texts = limits.max_texts, .max_text_bytes = limits.max_text_bytes}));
  auto parsed = std::make_unique<ArenaParsed<v1::ClassifyRequest, ParsedClassify>>();
  if (!parsed->Parse(pieces)) return InvalidRequest("request: not a valid ClassifyRequest");
  const v1::ClassifyRequest& message = parsed->message();
  if (!v1::TruncationSide_IsValid(message.truncation_side())) {
    return InvalidRequest(absl::StrCat("truncation_side: unknown value ", static_cast<int>(message.truncation_side())));
  }
  if (message.inputs().empty()) return InvalidRequest("inputs: empty");
  serving::Request& request = parsed->request;
  request.task = model::Task::kClassification;
  request.texts_name = "inputs";
  request.model = message.model();
  for (const v1::TextInput& input : message.inputs()) {
    request.texts.push_back(input.has_pair() ? serving::TextInput(input.text(), input.pair())
                                             : serving::TextInput(input.text()));
  }
  request.truncate = message.truncate();
  if (message.truncation_side() == v1::TRUNCATION_SIDE_LEFT) request.truncation_side = text::TruncationSide::kLeft;
  RETURN_IF_ERROR(SetScores(message, parsed.get()));
  return parsed;
}

v1::ClassifyResponse ToMessage(const serving::Response& response, const ParsedClassify& request) {
  const model::PredictionOptions options = request.OptionsFor(*response.served);
  const std::vector<std::string>& labels = response.served->model->info().labels;
  v1::ClassifyResponse message;
  message.set_model(response.model);
  message.set_model_version(response.model_version);
  message.set_fingerprint(response.fingerprint);
  message.set_score_mode(ModeOf(options.activation));
  message.set_num_tokens(TotalTokens(response));
  SetTiming(response, message.mutable_timing());
  for (size_t i = 0; i < response.num_texts(); ++i) {
    v1::Classification& classification = *message.add_classifications();
    const std::span<const float> logits = response.output(i);
    for (const model::Prediction& prediction : model::Predict(logits, options)) {
      v1::Prediction& added = *classification.add_predictions();
      added.set_label(labels[prediction.label_idx]);
      added.set_index(prediction.label_idx);
      added.set_score(prediction.score);
    }
    if (request.with_logits) classification.mutable_logits()->Add(logits.begin(), logits.end());
    classification.set_num_tokens(response.num_tokens[i]);
    classification.set_truncated(response.truncated[i]);
  }
  return message;
}

}  // namespace

model::PredictionOptions ParsedClassify::OptionsFor(const serving::ServedModel& served) const {
  model::PredictionOptions options = served.predictions;
  if (activation && *activation != options.activation) {
    options.activation = *activation;
    options.thresholds.clear();
  }
  if (top_k) options.top_k = *top_k;
  if (threshold) options.thresholds.assign(served.model->info().labels.size(), *threshold);
  return options;
}

absl::StatusOr<std::unique_ptr<ParsedClassify>> ParseClassify(const grpc::ByteBuffer& bytes,
                                                              const RequestLimits& limits) {
  ASSIGN_OR_RETURN(const grpc::Slice slice, Flatten(bytes));
  const absl::string_view pieces[] = {View(slice)};
  return ParsePieces(pieces, limits);
}

absl::StatusOr<StreamMessage<ParsedClassify>> ParseClassifyStream(const grpc::ByteBuffer& bytes,
                                                                  const RequestLimits& limits) {
  ASSIGN_OR_RETURN(const grpc::Slice slice, Flatten(bytes));
  ASSIGN_OR_RETURN(const StreamParts parts, SplitStreamMessage(View(slice), "ClassifyStreamRequest"));
  StreamMessage<ParsedClassify> message{.id = parts.id, .parsed = ParsePieces(parts.request, limits)};
  if (message.parsed.ok()) (*message.parsed)->id = parts.id;
  return message;
}

size_t PredictionBytes(const model::ModelInfo& info, size_t top_k) {
  size_t all = 0, largest = 0;
  for (const std::string& label : info.labels) {
    all += label.size() + kBytesPerPrediction;
    largest = std::max(largest, label.size() + kBytesPerPrediction);
  }
  return top_k == 0 || top_k >= info.labels.size() ? all : std::min(all, top_k * largest);
}

absl::Status CheckResponseSize(const ParsedClassify& parsed, const serving::ServedModel& served,
                               const RequestLimits& limits) {
  const model::ModelInfo& info = served.model->info();
  const size_t logit_bytes = parsed.with_logits ? info.labels.size() * sizeof(float) : 0;
  const size_t text_bytes = PredictionBytes(info, parsed.OptionsFor(served).top_k) + logit_bytes + kBytesPerText;
  return CheckResponseBytes(parsed.request.texts.size() * text_bytes + kBytesPerResponse, limits);
}

grpc::ByteBuffer EncodeClassifyResponse(const serving::Response& response, const ParsedClassify& request) {
  return Serialize(ToMessage(response, request));
}

grpc::ByteBuffer EncodeClassifyStreamResponse(const serving::Response& response, const ParsedClassify& request) {
  v1::ClassifyStreamResponse message;
  message.set_id(request.id);
  *message.mutable_response() = ToMessage(response, request);
  return Serialize(message);
}

grpc::ByteBuffer EncodeClassifyStreamError(uint64_t id, const v1::StreamError& error) {
  v1::ClassifyStreamResponse message;
  message.set_id(id);
  *message.mutable_error() = error;
  return Serialize(message);
}

}  // namespace octet::rpc
