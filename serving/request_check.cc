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
  if (request.texts.empty()) return Invalid("texts: empty");
  if (request.texts.size() > limits.max_texts_per_call) {
    return Invalid("texts: ", request.texts.size(), " items, limit ", limits.max_texts_per_call);
  }
  size_t total_bytes = 0;
  for (size_t i = 0; i < request.texts.size(); ++i) {
    const size_t bytes = request.texts[i].size();
    if (bytes > limits.max_text_bytes) {
      return WithReason(
          absl::InvalidArgumentError(absl::StrCat("texts[", i, "]: ", bytes, " bytes, limit ", limits.max_text_bytes)),
          kReasonTooLong);
    }
    total_bytes += bytes;
  }
  return total_bytes;
}

absl::Status CheckPrompt(const Request& request, const model::ModelInfo& info) {
  if (!request.prompt_name || request.prompt_name->empty()) return absl::OkStatus();  // "": no prompt
  const auto& names = info.prompt_names;
  if (std::find(names.begin(), names.end(), *request.prompt_name) != names.end()) return absl::OkStatus();
  return Invalid("prompt_name: unknown, the model has ", names.size(), " prompts");
}

}  // namespace

absl::StatusOr<CallPlan> CheckRequest(const Request& request, const RequestLimits& limits,
                                      const ModelRepository& repository) {
  CallPlan plan;
  ASSIGN_OR_RETURN(plan.text_bytes, CheckTexts(request, limits));
  ASSIGN_OR_RETURN(plan.model, repository.Find(request.model));
  const model::ModelInfo& info = plan.model->model->info();
  plan.dimensions = request.dimensions.value_or(info.hidden_dim);
  if (plan.dimensions == 0 || plan.dimensions > info.hidden_dim) {
    return Invalid("dimensions: ", plan.dimensions, ", allowed 1 to ", info.hidden_dim);
  }
  plan.normalize = request.normalize.value_or(info.normalize);
  RETURN_IF_ERROR(CheckPrompt(request, info));
  return plan;
}

}  // namespace octet::serving
