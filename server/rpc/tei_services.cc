// The services of tei.v1. The handlers of unary calls answer their streams too, message by message.
#include <algorithm>
#include <utility>

#include "model/precision.h"
#include "server/rpc/message_bytes.h"
#include "server/rpc/service_calls.h"
#include "server/rpc/status_map.h"
#include "server/rpc/tei_codec.h"
#include "tei/v1/tei.pb.h"

namespace octet::rpc {
namespace {

using Encode = grpc::ByteBuffer (*)(const serving::Response&, const ParsedTei&, absl::Duration total_time);

// Sends what was parsed through the pipeline and answers with what `encode` makes of it.
void Answer(const ServiceContext& context, Call call, ParsedTeiOr parsed, Encode encode) {
  if (!parsed.ok()) return Refuse(context, parsed.status(), std::move(call.reply));
  (*parsed)->request.model = call.model_metadata;
  const MonotonicTime arrival = call.arrival;
  Submit(context, std::move(call), *std::move(parsed),
         [&context, arrival, encode](const ParsedTei& request, absl::StatusOr<serving::Response> answer,
                                     absl::string_view label, Reply reply) {
           if (!answer.ok()) return std::move(reply)(ToTeiStatus(answer.status()), label);
           std::move(reply)(encode(*answer, request, context.clock->Now() - arrival), label);
         });
}

void TeiEmbed(const ServiceContext& context, Call call) {
  auto parsed = ParseTeiEmbed(call.request, context.limits);
  Answer(context, std::move(call), std::move(parsed), EncodeTeiEmbedResponse);
}

// A model that is not there, or has another task, is the pipeline's to refuse.
ParsedTeiOr WithinLimits(const ServiceContext& context, const Call& call, ParsedTeiOr parsed) {
  const auto served = context.repository->Find(call.model_metadata);
  if (!parsed.ok() || !served.ok()) return parsed;
  if (absl::Status status = CheckPredictResponseSize(**served, context.limits); !status.ok()) return status;
  return parsed;
}

void Predict(const ServiceContext& context, Call call) {
  auto parsed = WithinLimits(context, call, ParseTeiPredict(call.request, context.limits));
  Answer(context, std::move(call), std::move(parsed), EncodeTeiPredictResponse);
}

void PredictPair(const ServiceContext& context, Call call) {
  auto parsed = WithinLimits(context, call, ParseTeiPredictPair(call.request, context.limits));
  Answer(context, std::move(call), std::move(parsed), EncodeTeiPredictResponse);
}

void Rerank(const ServiceContext& context, Call call) {
  auto parsed = ParseTeiRerank(call.request, context.limits);
  Answer(context, std::move(call), std::move(parsed), EncodeTeiRerankResponse);
}

void RerankStream(const ServiceContext& context, Call call) {
  auto parsed = ParseTeiRerankStream(call.messages, context.limits);
  Answer(context, std::move(call), std::move(parsed), EncodeTeiRerankResponse);
}

::tei::v1::ModelType ModelTypeOf(const model::ModelInfo& info) {
  switch (info.task) {
    case model::Task::kEmbedding:
      return ::tei::v1::MODEL_TYPE_EMBEDDING;
    case model::Task::kClassification:
      // As text-embeddings-inference tells them apart.
      return info.labels.size() == 1 ? ::tei::v1::MODEL_TYPE_RERANKER : ::tei::v1::MODEL_TYPE_CLASSIFIER;
    case model::Task::kTokenClassification:
      break;  // refused at start; the contract has no word for it
  }
  return ::tei::v1::MODEL_TYPE_EMBEDDING;
}

void Info(const ServiceContext& context, Call call) {
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
  response.set_model_type(ModelTypeOf(info));
  response.set_max_concurrent_requests(static_cast<uint32_t>(context.max_concurrent_calls));
  response.set_max_input_length(info.max_tokens);
  response.set_max_batch_tokens(static_cast<uint32_t>(pipeline.max_batch_tokens));
  response.set_max_batch_requests(static_cast<uint32_t>(pipeline.max_batch_texts));
  // Texts of one message: only Rerank takes several.
  const bool reranks = response.model_type() == ::tei::v1::MODEL_TYPE_RERANKER;
  response.set_max_client_batch_size(reranks ? static_cast<uint32_t>(pipeline.max_texts_per_call) : 1);
  response.set_tokenization_workers(static_cast<uint32_t>(pipeline.num_tokenizer_threads));
  std::move(call.reply)(Serialize(response), LabelOf(context, call.model_metadata));
}

}  // namespace

std::vector<Method> MakeTeiMethods(const ServiceContext* context) {
  return {
      {"tei.v1.Info/Info", MethodKind::kUnary, WithContext(context, Info)},
      {"tei.v1.Embed/Embed", MethodKind::kUnary, WithContext(context, TeiEmbed)},
      {"tei.v1.Embed/EmbedStream", MethodKind::kOrderedStream, WithContext(context, TeiEmbed)},
      {"tei.v1.Predict/Predict", MethodKind::kUnary, WithContext(context, Predict)},
      {"tei.v1.Predict/PredictPair", MethodKind::kUnary, WithContext(context, PredictPair)},
      {"tei.v1.Predict/PredictStream", MethodKind::kOrderedStream, WithContext(context, Predict)},
      {"tei.v1.Predict/PredictPairStream", MethodKind::kOrderedStream, WithContext(context, PredictPair)},
      {"tei.v1.Rerank/Rerank", MethodKind::kUnary, WithContext(context, Rerank)},
      {"tei.v1.Rerank/RerankStream", MethodKind::kClientStream, WithContext(context, RerankStream)},
  };
}

}  // namespace octet::rpc
