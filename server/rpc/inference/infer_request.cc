#include "server/rpc/inference/infer_request.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "inference/inference.pb.h"
#include "server/rpc/inference/infer_inputs.h"
#include "server/rpc/inference/infer_response.h"
#include "server/rpc/inference/infer_scan.h"
#include "server/rpc/message_bytes.h"
#include "server/rpc/message_parts.h"

namespace octet::rpc {
namespace {

using ::inference::ModelInferRequest;
using ParsedMessage = ArenaParsed<ModelInferRequest, ParsedInfer>;

// Those that are asked for; when none is, all but last_hidden_state, which is many times the size of the others.
absl::StatusOr<std::vector<TensorSpec>> RequestedOutputs(const ModelInferRequest& message,
                                                         const model::ModelInfo& info) {
  std::vector<TensorSpec> all = OutputTensors(info);
  if (message.outputs().empty()) {
    std::erase_if(all, [](const TensorSpec& tensor) { return tensor.name == absl::string_view(kLastHiddenState); });
    return all;
  }
  std::vector<TensorSpec> requested;
  for (const auto& output : message.outputs()) {
    const TensorSpec* const spec = FindTensorOrNull(all, output.name());
    if (spec == nullptr) {
      return InvalidRequest(absl::StrCat("outputs: ", QuoteName(output.name()),
                                         " is no output of the model, which has ", TensorNames(all)));
    }
    if (FindTensorOrNull(requested, spec->name) != nullptr) {
      return InvalidRequest(absl::StrCat("outputs: ", spec->name, " is asked for twice"));
    }
    RETURN_IF_ERROR(CheckNoParameters(output.parameters(), spec->name));
    requested.push_back(*spec);
  }
  return requested;
}

absl::Status CheckEmbeddingOptions(const serving::Request& request) {
  if (request.task == model::Task::kEmbedding) return absl::OkStatus();
  if (request.normalize || request.dimensions || request.prompt_name) {
    return InvalidRequest("parameters: normalize, dimensions and prompt_name need a model that embeds");
  }
  return absl::OkStatus();
}

// Everything that depends on the model.
absl::Status Fill(const ModelInferRequest& message, const RequestLimits& limits,
                  const serving::ModelRepository& repository, ParsedInfer* parsed) {
  ASSIGN_OR_RETURN(const auto served, FindModel(repository, message.model_name(), message.model_version()));
  const model::ModelInfo& info = served->model->info();
  serving::Request& request = parsed->request;
  request.model = served->name;
  request.task = info.task;
  parsed->is_raw = !message.raw_input_contents().empty();
  ASSIGN_OR_RETURN(parsed->outputs, RequestedOutputs(message, info));
  request.with_hidden_states = FindTensorOrNull(parsed->outputs, kLastHiddenState) != nullptr;
  ASSIGN_OR_RETURN(parsed->parameters, ApplyParameters(message.parameters(), &request));
  RETURN_IF_ERROR(CheckEmbeddingOptions(request));
  ASSIGN_OR_RETURN(parsed->row_length, TakeInputs(message, info, limits, &request));
  return CheckResponseBytes(InferResponseBytes(*parsed, info), limits);
}

}  // namespace

absl::StatusOr<std::shared_ptr<const serving::ServedModel>> FindModel(const serving::ModelRepository& repository,
                                                                      const std::string& name,
                                                                      const std::string& version) {
  ASSIGN_OR_RETURN(auto served, repository.Find(name));
  if (version.empty() || version == kModelVersion || version == served->model->info().version) return served;
  return serving::WithReason(absl::NotFoundError("model_version: not found"), serving::kReasonUnknownModel);
}

absl::StatusOr<InferMessage> ParseInfer(const grpc::ByteBuffer& bytes, const RequestLimits& limits,
                                        const serving::ModelRepository& repository) {
  ASSIGN_OR_RETURN(const grpc::Slice slice, Flatten(bytes));
  const absl::string_view pieces[] = {View(slice)};
  RETURN_IF_ERROR(ScanInferRequest(pieces[0], limits));
  auto parsed = std::make_unique<ParsedMessage>();
  if (!parsed->Parse(pieces)) return InvalidRequest("request: not a valid ModelInferRequest");
  parsed->request_id = parsed->message().id();
  InferMessage message = {.request_id = parsed->request_id, .parsed = nullptr};
  const absl::Status status = Fill(parsed->message(), limits, repository, parsed.get());
  if (status.ok()) {
    message.parsed = std::move(parsed);
  } else {
    message.parsed = status;
  }
  return message;
}

}  // namespace octet::rpc
