// octet.v1.TextEncoder.
#include <utility>

#include "server/rpc/classify_codec.h"
#include "server/rpc/request_codec.h"
#include "server/rpc/service_calls.h"
#include "server/rpc/status_map.h"

namespace octet::rpc {
namespace {

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

// Errors of a request are answers, those of the stream's form end it.
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

// Whether the answer fits; a model that is not there, or has another task, is the pipeline's to refuse.
absl::Status CheckAnswerFits(const ServiceContext& context, const ParsedClassify& parsed) {
  const auto served = context.repository->Find(parsed.request.model);
  return served.ok() ? CheckResponseSize(parsed, **served, context.limits) : absl::OkStatus();
}

void Classify(const ServiceContext& context, Call call) {
  auto parsed = ParseClassify(call.request, context.limits);
  absl::Status status = parsed.ok() ? CheckAnswerFits(context, **parsed) : parsed.status();
  if (!status.ok()) return Refuse(context, std::move(status), std::move(call.reply));
  Submit(context, std::move(call), *std::move(parsed),
         [](const ParsedClassify& request, absl::StatusOr<serving::Response> answer, absl::string_view label,
            Reply reply) {
           if (!answer.ok()) return std::move(reply)(answer.status(), label);
           std::move(reply)(EncodeClassifyResponse(*answer, request), label);
         });
}

// As EmbedStream.
void ClassifyStream(const ServiceContext& context, Call call) {
  auto message = ParseClassifyStream(call.request, context.limits);
  if (!message.ok()) return Refuse(context, message.status(), std::move(call.reply));
  const absl::Status status =
      message->parsed.ok() ? CheckAnswerFits(context, **message->parsed) : message->parsed.status();
  if (!status.ok()) {
    serving::CountRefusal(status, context.metrics);
    return std::move(call.reply)(EncodeClassifyStreamError(message->id, ToStreamError(status)), "");
  }
  Submit(context, std::move(call), *std::move(message->parsed),
         [](const ParsedClassify& request, absl::StatusOr<serving::Response> answer, absl::string_view label,
            Reply reply) {
           std::move(reply)(answer.ok() ? EncodeClassifyStreamResponse(*answer, request)
                                        : EncodeClassifyStreamError(request.id, ToStreamError(answer.status())),
                            label);
         });
}

}  // namespace

std::vector<Method> MakeTextEncoderMethods(const ServiceContext* context) {
  return {
      {"octet.v1.TextEncoder/Embed", MethodKind::kUnary, WithContext(context, Embed)},
      {"octet.v1.TextEncoder/EmbedStream", MethodKind::kStream, WithContext(context, EmbedStream)},
      {"octet.v1.TextEncoder/Classify", MethodKind::kUnary, WithContext(context, Classify)},
      {"octet.v1.TextEncoder/ClassifyStream", MethodKind::kStream, WithContext(context, ClassifyStream)},
  };
}

}  // namespace octet::rpc
