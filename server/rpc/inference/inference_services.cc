// inference.GRPCInferenceService. ModelInfer and its stream go through the pipeline as all services' calls do; what
// else it says is answered at once.
#include <algorithm>
#include <string>
#include <utility>

#include "inference/inference.pb.h"
#include "server/rpc/inference/infer_request.h"
#include "server/rpc/inference/infer_response.h"
#include "server/rpc/inference/model_metadata.h"
#include "server/rpc/inference/model_statistics.h"
#include "server/rpc/message_bytes.h"
#include "server/rpc/service_calls.h"
#include "server/rpc/wire_scan.h"

namespace octet::rpc {
namespace {

namespace oip = ::inference;

// Of every message that asks about a server or a model: names, if anything.
constexpr NestedField kNameFields[] = {{1, NestedKind::kString}, {2, NestedKind::kString}};

// A small message of names and flags.
template <typename Message>
absl::StatusOr<Message> ParseSmall(const grpc::ByteBuffer& bytes) {
  absl::StatusOr<grpc::Slice> slice = Flatten(bytes);
  if (!slice.ok()) return slice.status();
  const absl::string_view view = View(*slice);
  Message message;
  const auto counts = CountFields(view, kNameFields);
  if (!counts || counts->others > kMaxOtherFields ||
      !message.ParseFromArray(view.data(), static_cast<int>(view.size()))) {
    return InvalidRequest("request: not a valid " + Message::descriptor()->name());
  }
  return message;
}

// Answers a call that computes nothing. Its label is no model's: only calls that compute count as a model's.
template <typename Request, typename Response>
void AnswerAtOnce(const ServiceContext& context, Call call,
                  absl::StatusOr<Response> (*answer)(const ServiceContext&, const Request&)) {
  const absl::StatusOr<Request> request = ParseSmall<Request>(call.request);
  if (!request.ok()) return Refuse(context, request.status(), std::move(call.reply));
  const absl::StatusOr<Response> response = answer(context, *request);
  if (!response.ok()) return Refuse(context, response.status(), std::move(call.reply));
  std::move(call.reply)(Serialize(*response), "");
}

template <typename Request, typename Response>
Method AtOnce(const char* name, const ServiceContext* context,
              absl::StatusOr<Response> (*answer)(const ServiceContext&, const Request&)) {
  return {name, MethodKind::kUnary, [context, answer](Call call) { AnswerAtOnce(*context, std::move(call), answer); }};
}

absl::StatusOr<oip::ServerLiveResponse> ServerLive(const ServiceContext& context, const oip::ServerLiveRequest&) {
  oip::ServerLiveResponse response;
  response.set_live(context.pipeline->Health().live);
  return response;
}

absl::StatusOr<oip::ServerReadyResponse> ServerReady(const ServiceContext& context, const oip::ServerReadyRequest&) {
  oip::ServerReadyResponse response;
  response.set_ready(context.serving->load());
  return response;
}

absl::StatusOr<oip::ModelReadyResponse> ModelReady(const ServiceContext& context,
                                                   const oip::ModelReadyRequest& request) {
  oip::ModelReadyResponse response;
  const bool is_there = FindModel(*context.repository, request.name(), request.version()).ok();
  response.set_ready(is_there && context.serving->load());
  return response;
}

absl::StatusOr<oip::ServerMetadataResponse> ServerMetadata(const ServiceContext& context,
                                                           const oip::ServerMetadataRequest&) {
  return DescribeServer(context.server_version);
}

absl::StatusOr<oip::ModelMetadataResponse> ModelMetadata(const ServiceContext& context,
                                                         const oip::ModelMetadataRequest& request) {
  const auto served = FindModel(*context.repository, request.name(), request.version());
  if (!served.ok()) return served.status();
  return DescribeModel(**served);
}

absl::StatusOr<oip::ModelConfigResponse> ModelConfig(const ServiceContext& context,
                                                     const oip::ModelConfigRequest& request) {
  const auto served = FindModel(*context.repository, request.name(), request.version());
  if (!served.ok()) return served.status();
  return ConfigOf(**served, context.pipeline->options());
}

absl::StatusOr<oip::ModelStatisticsResponse> ModelStatistics(const ServiceContext& context,
                                                             const oip::ModelStatisticsRequest& request) {
  oip::ModelStatisticsResponse response;
  if (request.name().empty()) {
    for (const auto& served : context.repository->List()) {
      *response.add_model_stats() = StatisticsOf(*served, context.metrics);
    }
    return response;
  }
  const auto served = FindModel(*context.repository, request.name(), request.version());
  if (!served.ok()) return served.status();
  *response.add_model_stats() = StatisticsOf(**served, context.metrics);
  return response;
}

absl::StatusOr<oip::RepositoryIndexResponse> RepositoryIndex(const ServiceContext& context,
                                                             const oip::RepositoryIndexRequest& request) {
  return IndexOf(*context.repository, context.serving->load(), request);
}

// The parameter `timeout` may only bring the answer forward.
void TightenDeadline(const ParsedInfer& parsed, Call* call) {
  if (parsed.parameters.timeout) call->deadline = std::min(call->deadline, call->arrival + *parsed.parameters.timeout);
}

void ModelInfer(const ServiceContext& context, Call call) {
  auto message = ParseInfer(call.request, context.limits, *context.repository);
  if (!message.ok()) return Refuse(context, message.status(), std::move(call.reply));
  if (!message->parsed.ok()) return Refuse(context, message->parsed.status(), std::move(call.reply));
  TightenDeadline(**message->parsed, &call);
  Submit(
      context, std::move(call), *std::move(message->parsed),
      [](const ParsedInfer& request, absl::StatusOr<serving::Response> answer, absl::string_view label, Reply reply) {
        if (!answer.ok()) return std::move(reply)(answer.status(), label);
        std::move(reply)(EncodeInferResponse(*answer, request), label);
      });
}

// Errors of a request are answers, those of the stream's form end it.
void ModelStreamInfer(const ServiceContext& context, Call call) {
  auto message = ParseInfer(call.request, context.limits, *context.repository);
  if (!message.ok()) return Refuse(context, message.status(), std::move(call.reply));
  if (!message->parsed.ok()) {
    const absl::Status& status = message->parsed.status();
    serving::CountRefusal(status, context.metrics);
    return std::move(call.reply)(EncodeInferStreamError(message->request_id, status), "");
  }
  TightenDeadline(**message->parsed, &call);
  Submit(
      context, std::move(call), *std::move(message->parsed),
      [](const ParsedInfer& request, absl::StatusOr<serving::Response> answer, absl::string_view label, Reply reply) {
        std::move(reply)(answer.ok() ? EncodeInferStreamResponse(*answer, request)
                                     : EncodeInferStreamError(request.request_id, answer.status()),
                         label);
      });
}

}  // namespace

std::vector<Method> MakeInferenceMethods(const ServiceContext* context) {
  return {
      {"inference.GRPCInferenceService/ModelInfer", MethodKind::kUnary, WithContext(context, ModelInfer)},
      {"inference.GRPCInferenceService/ModelStreamInfer", MethodKind::kOrderedStream,
       WithContext(context, ModelStreamInfer)},
      AtOnce("inference.GRPCInferenceService/ServerLive", context, ServerLive),
      AtOnce("inference.GRPCInferenceService/ServerReady", context, ServerReady),
      AtOnce("inference.GRPCInferenceService/ModelReady", context, ModelReady),
      AtOnce("inference.GRPCInferenceService/ServerMetadata", context, ServerMetadata),
      AtOnce("inference.GRPCInferenceService/ModelMetadata", context, ModelMetadata),
      AtOnce("inference.GRPCInferenceService/ModelConfig", context, ModelConfig),
      AtOnce("inference.GRPCInferenceService/ModelStatistics", context, ModelStatistics),
      AtOnce("inference.GRPCInferenceService/RepositoryIndex", context, RepositoryIndex),
  };
}

}  // namespace octet::rpc
