#include "serving/request_check.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace octet::serving {
namespace {

template <typename... Parts>
absl::Status Invalid(const Parts&... parts) {
  return WithReason(absl::InvalidArgumentError(absl::StrCat(parts...)), kReasonInvalid);
}

absl::StatusOr<size_t> CheckTexts(const Request& request, const RequestLimits& limits) {
  const char* const name = request.texts_name;
  if (request.num_texts() == 0) return Invalid(name, ": empty");
  if (request.num_texts() > limits.max_texts_per_call) {
    return Invalid(name, ": ", request.num_texts(), " items, limit ", limits.max_texts_per_call);
  }
  size_t total_bytes = 0;
  for (size_t i = 0; i < request.texts.size(); ++i) {
    const TextInput& input = request.texts[i];
    // The limit is one text's, also in a pair.
    const size_t longest = std::max(input.text.size(), input.pair.value_or("").size());
    if (longest > limits.max_text_bytes) {
      return WithReason(absl::InvalidArgumentError(
                            absl::StrCat(name, "[", i, "]: ", longest, " bytes, limit ", limits.max_text_bytes)),
                        kReasonTooLong);
    }
    total_bytes += input.bytes();
  }
  return total_bytes;
}

absl::Status CheckIds(const std::vector<int32_t>& ids, uint32_t limit, const std::string& what, const char* has) {
  for (const int32_t id : ids) {
    if (id < 0 || static_cast<uint32_t>(id) >= limit) return Invalid(what, " ", id, ", ", has, " ", limit);
  }
  return absl::OkStatus();
}

// What tokenizing sees to otherwise. The tokens of all texts together, in bytes.
absl::StatusOr<size_t> CheckEncodings(const Request& request, const Servable& model) {
  const model::ModelInfo& info = model.info();
  size_t total_bytes = 0;
  for (size_t i = 0; i < request.encodings.size(); ++i) {
    const text::Encoding& encoding = request.encodings[i];
    const std::string name = absl::StrCat(request.texts_name, "[", i, "]: ");
    if (encoding.ids.empty()) return Invalid(name, "no tokens, at least 1 is needed");
    if (encoding.ids.size() > info.max_tokens) {
      return WithReason(
          absl::InvalidArgumentError(absl::StrCat(name, encoding.ids.size(), " tokens, limit ", info.max_tokens)),
          kReasonTooLong);
    }
    RETURN_IF_ERROR(CheckIds(encoding.ids, info.vocab_size, name + "token id", "the vocabulary has"));
    RETURN_IF_ERROR(CheckIds(encoding.type_ids, model.num_token_types(), name + "token type id", "the model has"));
    total_bytes += (encoding.ids.size() + encoding.type_ids.size()) * sizeof(int32_t);
  }
  return total_bytes;
}

absl::Status CheckTask(const Request& request, const model::ModelInfo& info) {
  if (info.task != request.task) {
    return WithReason(absl::FailedPreconditionError(absl::StrCat("model: its task is ", model::TaskName(info.task),
                                                                 ", this method's is ", model::TaskName(request.task))),
                      kReasonWrongTask);
  }
  if (request.num_labels && *request.num_labels != info.labels.size()) {
    return WithReason(absl::FailedPreconditionError(absl::StrCat("model: it has ", info.labels.size(),
                                                                 " labels, this method needs ", *request.num_labels)),
                      kReasonWrongTask);
  }
  return absl::OkStatus();
}

absl::Status CheckPrompt(const Request& request, const model::ModelInfo& info) {
  if (!request.prompt_name || request.prompt_name->empty()) return absl::OkStatus();  // "": no prompt
  const auto& names = info.prompt_names;
  if (std::find(names.begin(), names.end(), *request.prompt_name) != names.end()) return absl::OkStatus();
  return Invalid("prompt_name: unknown, the model has ", names.size(), " prompts");
}

absl::Status PlanEmbedding(const Request& request, const model::ModelInfo& info, CallPlan* plan) {
  const size_t dimensions = request.dimensions.value_or(info.hidden_dim);
  if (dimensions == 0 || dimensions > info.hidden_dim) {
    return Invalid("dimensions: ", dimensions, ", allowed 1 to ", info.hidden_dim);
  }
  plan->dimensions = dimensions;
  plan->normalize = request.normalize.value_or(info.normalize);
  return CheckPrompt(request, info);
}

}  // namespace

absl::StatusOr<CallPlan> CheckRequest(const Request& request, const RequestLimits& limits,
                                      const ModelRepository& repository) {
  CallPlan plan;
  ASSIGN_OR_RETURN(plan.text_bytes, CheckTexts(request, limits));
  ASSIGN_OR_RETURN(plan.model, repository.Find(request.model));
  const model::ModelInfo& info = plan.model->model->info();
  RETURN_IF_ERROR(CheckTask(request, info));
  if (!request.encodings.empty()) {
    ASSIGN_OR_RETURN(plan.text_bytes, CheckEncodings(request, *plan.model->model));
  }
  if (request.task == model::Task::kEmbedding) RETURN_IF_ERROR(PlanEmbedding(request, info, &plan));
  return plan;
}

}  // namespace octet::serving
