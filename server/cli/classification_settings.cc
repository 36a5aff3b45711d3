#include "server/cli/classification_settings.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "server/cli/config_schema.h"
#include "server/cli/nearest_name.h"

namespace octet::cli {
namespace {

model::ScoreActivation ActivationOf(const std::string& scores, model::ScoreActivation fallback) {
  for (const auto activation :
       {model::ScoreActivation::kSoftmax, model::ScoreActivation::kSigmoid, model::ScoreActivation::kRaw}) {
    if (scores == model::ScoreActivationName(activation)) return activation;
  }
  return fallback;  // "", the only other value that the schema allows
}

// Scores are f32.
absl::Status CheckThresholds(const config::v1::Classification& classification) {
  constexpr double kMax = std::numeric_limits<float>::max();
  const auto check = [&](absl::string_view key, double threshold) {
    if (std::abs(threshold) <= kMax) return absl::OkStatus();
    return absl::InvalidArgumentError(absl::StrCat("classification.", key, ": ", threshold, " is beyond f32"));
  };
  for (const auto& entry : classification.thresholds()) RETURN_IF_ERROR(check("thresholds", entry.threshold()));
  return check("threshold", classification.threshold());
}

}  // namespace

absl::StatusOr<model::PredictionOptions> PredictionsOf(const config::v1::Model& settings,
                                                       const model::TextModelConfig& config) {
  model::PredictionOptions options;
  if (config.task != model::Task::kClassification) {
    if (!settings.has_classification()) return options;
    return absl::InvalidArgumentError(absl::StrCat("classification: given, but the model's task is ",
                                                   model::TaskName(config.task), "; remove the section"));
  }
  const config::v1::Classification& classification = settings.classification();
  const std::vector<std::string>& labels = config.classification.labels;
  options.activation = ActivationOf(classification.scores(), config.classification.activation);
  options.top_k = classification.top_k();
  if (!classification.has_threshold() && classification.thresholds().empty()) return options;
  RETURN_IF_ERROR(CheckThresholds(classification));
  constexpr float kNoThreshold = -std::numeric_limits<float>::infinity();
  options.thresholds.assign(
      labels.size(), classification.has_threshold() ? static_cast<float>(classification.threshold()) : kNoThreshold);
  for (const auto& entry : classification.thresholds()) {
    const auto found = std::find(labels.begin(), labels.end(), entry.label());
    if (found == labels.end()) {
      return absl::InvalidArgumentError(absl::StrCat("classification.thresholds: the model has no label ",
                                                     Quoted(entry.label()), "; nearest is ",
                                                     Quoted(NearestName(entry.label(), labels))));
    }
    options.thresholds[static_cast<size_t>(found - labels.begin())] = static_cast<float>(entry.threshold());
  }
  return options;
}

}  // namespace octet::cli
