#include "server/cli/quantization_settings.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace octet::cli {
namespace {

absl::Status Refuse(absl::string_view key, absl::string_view why) {
  return absl::InvalidArgumentError(absl::StrCat("quantization.", key, ": ", why));
}

absl::StatusOr<model::Technique> TechniqueAtLoad(const std::string& method, const model::EncoderConfig& config) {
  if (method.empty()) return model::kTechniqueAtLoad;
  if (config.quantization) {
    if (config.quantization->technique == method) return model::kTechniqueAtLoad;  // nothing to decide
    return Refuse(
        "method",
        absl::StrCat(method, ", but the directory was made with ", config.quantization->technique,
                     "; leave the key out or name the directory that octet quantize made with --method ", method));
  }
  ASSIGN_OR_RETURN(const model::Technique technique, model::ParseTechnique(method));
  switch (technique) {
    case model::Technique::kDynamic:
    case model::Technique::kSmooth:
      return technique;
    case model::Technique::kStatic:
    case model::Technique::kMixed:
      break;
  }
  return Refuse("method", absl::StrCat(method,
                                       " needs calibration texts; make a directory with octet quantize "
                                       "--method ",
                                       method, " and name that"));
}

}  // namespace

absl::StatusOr<QuantizationSettings> QuantizationOf(const config::v1::Quantization& settings,
                                                    const model::EncoderConfig& config, model::Precision precision) {
  QuantizationSettings result;
  ASSIGN_OR_RETURN(result.activation_range, model::ParseActivationRange(settings.activation_range()));
  result.momentum = settings.momentum();
  const bool is_default_range = result.activation_range == model::ActivationRange::kPerToken;
  if (precision != model::Precision::kInt8 && (!settings.method().empty() || !is_default_range)) {
    return Refuse(is_default_range ? "method" : "activation_range",
                  absl::StrCat("is of int8, but engine.precision is ", model::PrecisionName(precision)));
  }
  if (result.momentum < 0 || result.momentum >= 1) {
    return Refuse("momentum", absl::StrCat("want 0 to below 1, got ", result.momentum));
  }
  if (result.activation_range == model::ActivationRange::kMovingAverage && !settings.allow_history_dependent()) {
    return Refuse("activation_range",
                  "moving_average makes answers depend on the calls before; set quantization.allow_history_dependent: "
                  "true, or take per_token");
  }
  ASSIGN_OR_RETURN(result.technique_at_load, TechniqueAtLoad(settings.method(), config));
  return result;
}

}  // namespace octet::cli
