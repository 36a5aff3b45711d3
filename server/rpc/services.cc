#include "server/rpc/services.h"

#include <algorithm>
#include <utility>

#include "grpcpp/support/proto_buffer_writer.h"
#include "server/rpc/status_map.h"
#include "serving/call.h"
#include "tei/v1/tei.pb.h"

namespace octet::rpc {
namespace {

// A refusal that the pipeline never saw.
void Refuse(const ServiceContext& context, absl::Status status, Reply reply) {
  serving::CountRefusal(status, context.metrics);
  std::move(reply)(std::move(status), "");
}

// The name that calls are counted under: what the client asked for if it is served, never what it made up.
std::string LabelOf(const ServiceContext& context, const std::string& model) {
  const absl::string_view label = context.repository->LabelOf(model);
  return std::string(label.data(), label.size());
}

// Sends `parsed` through the pipeline; `finish` gets the parsed request back with the answer, the label and
// the reply.
template <typename Finish>
void Submit(const ServiceContext& context, Call call, std::unique_ptr<ParsedEmbed> parsed, Finish finish) {
  serving::Request request = std::move(parsed->request);
  request.deadline = call.deadline;
  request.cancelled = call.cancelled;
  std::string label = LabelOf(context, request.model);
  context.pipeline->Submit(std::move(request),
                           [parsed = std::move(parsed), reply = std::move(call.reply), label = std::move(label),
                            finish = std::move(finish)](absl::StatusOr<serving::Response> answer) mutable {
                             finish(*parsed, std::move(answer), label, std::move(reply));
                           });
}

// octet.v1.TextEncoder/Embed
void Embed(const ServiceContext& context, Call call) {
  auto parsed = ParseEmbed(call.request, context.limits);
  if (!parsed.ok()) return Refuse(context, parsed.status(), std::move(call.reply));
  Submit(
      context, std::move(call), *std::move(parsed),
      [](const ParsedEmbed& request, absl::StatusOr<serving::Response> answer, absl::string_view label, Reply reply) {
        if (!answer.ok()) return std::move(reply)(answer.status(), label);
        std::move(reply)(EncodeEmbedResponse(*answer, request.as_floats), label);
      });
}

// octet.v1.TextEncoder/EmbedStream: errors of a request are answers, those of the stream's form end it.
void EmbedStream(const ServiceContext& context, Call call) {
  auto message = ParseEmbedStream(call.request, context.limits);
  if (!message.ok()) return Refuse(context, message.status(), std::move(call.reply));
  if (!message->parsed.ok()) {
    const absl::Status& status = message->parsed.status();
    serving::CountRefusal(status, context.metrics);
    return std::move(call.reply)(EncodeStreamError(message->id, ToStreamError(status)), "");
  }
  Submit(
      context, std::move(call), *std::move(message->parsed),
      [](const ParsedEmbed& request, absl::StatusOr<serving::Response> answer, absl::string_view label, Reply reply) {
        std::move(reply)(answer.ok() ? EncodeStreamResponse(request.id, *answer, request.as_floats)
                                     : EncodeStreamError(request.id, ToStreamError(answer.status())),
                         label);
      });
}

// tei.v1.Embed/Embed and, message by message, tei.v1.Embed/EmbedStream
void TeiEmbed(const ServiceContext& context, Call call) {
  auto parsed = ParseTeiEmbed(call.request, context.limits);
  if (!parsed.ok()) return Refuse(context, parsed.status(), std::move(call.reply));
  (*parsed)->request.model = call.model_metadata;
  const MonotonicTime arrival = call.arrival;
  Submit(context, std::move(call), *std::move(parsed),
         [&context, arrival](const ParsedEmbed& request, absl::StatusOr<serving::Response> answer,
                             absl::string_view label, Reply reply) {
           if (!answer.ok()) return std::move(reply)(answer.status(), label);
           std::move(reply)(EncodeTeiEmbedResponse(*answer, request.num_chars, context.clock->Now() - arrival), label);
         });
}

grpc::ByteBuffer Serialize(const google::protobuf::Message& message) {
  grpc::Slice slice(message.ByteSizeLong());
  message.SerializeToArray(const_cast<uint8_t*>(slice.begin()), static_cast<int>(slice.size()));
  return grpc::ByteBuffer(&slice, 1);
}

// tei.v1.Info/Info
void TeiInfo(const ServiceContext& context, Call call) {
  const auto served = context.repository->Find(call.model_metadata);
  if (!served.ok()) return Refuse(context, served.status(), std::move(call.reply));
  const model::ModelInfo& info = (*served)->model->info();
  const serving::PipelineOptions& pipeline = context.pipeline->options();
  ::tei::v1::InfoResponse response;
  response.set_version(context.server_version);
  response.set_model_id((*served)->name);
  response.set_model_sha(info.version);
  const absl::string_view precision = model::PrecisionName(info.precision);
  response.set_model_dtype(std::string(precision.data(), precision.size()));
  response.set_model_type(::tei::v1::MODEL_TYPE_EMBEDDING);
  response.set_max_concurrent_requests(static_cast<uint32_t>(context.max_concurrent_calls));
  response.set_max_input_length(info.max_tokens);
  response.set_max_batch_tokens(static_cast<uint32_t>(pipeline.max_batch_tokens));
  response.set_max_batch_requests(static_cast<uint32_t>(pipeline.max_batch_texts));
  response.set_max_client_batch_size(1);  // texts of one message
  response.set_tokenization_workers(static_cast<uint32_t>(pipeline.num_tokenizer_threads));
  std::move(call.reply)(Serialize(response), LabelOf(context, call.model_metadata));
}

constexpr char kTextEncoder[] = "octet.v1.TextEncoder";
constexpr char kTeiInfo[] = "tei.v1.Info";
constexpr char kTeiEmbed[] = "tei.v1.Embed";

}  // namespace

std::vector<std::string> ServiceNames() { return {kTextEncoder, kTeiInfo, kTeiEmbed}; }

std::vector<Method> MakeMethods(const ServiceContext* context) {
  const auto with_context = [context](void (*handler)(const ServiceContext&, Call)) -> Handler {
    return [context, handler](Call call) { handler(*context, std::move(call)); };
  };
  return {
      {std::string(kTextEncoder) + "/Embed", MethodKind::kUnary, with_context(Embed)},
      {std::string(kTextEncoder) + "/EmbedStream", MethodKind::kStream, with_context(EmbedStream)},
      {std::string(kTeiInfo) + "/Info", MethodKind::kUnary, with_context(TeiInfo)},
      {std::string(kTeiEmbed) + "/Embed", MethodKind::kUnary, with_context(TeiEmbed)},
      {std::string(kTeiEmbed) + "/EmbedStream", MethodKind::kOrderedStream, with_context(TeiEmbed)},
  };
}

}  // namespace octet::rpc
