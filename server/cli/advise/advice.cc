#include "server/cli/advise/advice.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "server/cli/evaluate/load_variant.h"

namespace octet::cli {
namespace {

const Measurement& BaselineOf(const std::vector<VariantResult>& results) {
  return *std::find_if(results.begin(), results.end(), [](const VariantResult& result) {
            return result.name == kBaselineVariant;
          })->measurement;
}

double DropOf(const Measurement& measurement) {
  return measurement.comparison.has_value() ? -measurement.comparison->difference : 0;
}

// Whether the data leave open that the drop is beyond the limit.
bool IsUncertain(const Measurement& measurement, double max_drop) {
  const auto& comparison = measurement.comparison;
  return comparison.has_value() && comparison->difference_interval.has_value() &&
         -comparison->difference_interval->low > max_drop;
}

// The variant that is served, among those with an acceptable drop.
const VariantResult* Best(const std::vector<VariantResult>& results, double max_drop) {
  double fastest = 0;
  const auto is_accepted = [&](const VariantResult& result) {
    return result.measurement.has_value() && DropOf(*result.measurement) <= max_drop;
  };
  for (const VariantResult& result : results) {
    if (is_accepted(result)) fastest = std::max(fastest, result.measurement->tokens_per_second());
  }
  const VariantResult* best = nullptr;
  for (const VariantResult& result : results) {
    if (!is_accepted(result) || result.measurement->tokens_per_second() < (1 - kSpeedNoise) * fastest) continue;
    if (best == nullptr || DropOf(*result.measurement) < DropOf(*best->measurement)) best = &result;
  }
  return best;
}

std::string ReasonOf(const VariantResult& result, const Measurement& baseline, const AdviceInputs& inputs) {
  if (!result.measurement.has_value()) return absl::StrCat(result.name, ": ", result.not_run);
  const Measurement& measurement = *result.measurement;
  const std::string& metric = measurement.metrics.front().name;
  if (result.name == kBaselineVariant) {
    return absl::StrFormat("%s: %s %.2f, what the others are compared with", result.name, metric,
                           100 * measurement.metrics.front().value);
  }
  std::string reason =
      absl::StrFormat("%s: %s %+.2f points, %.2f times the speed of f32, %.2f of its memory", result.name, metric,
                      -100 * DropOf(measurement), measurement.tokens_per_second() / baseline.tokens_per_second(),
                      static_cast<double>(measurement.weight_bytes) / static_cast<double>(baseline.weight_bytes));
  if (DropOf(measurement) > inputs.max_drop) {
    absl::StrAppendFormat(&reason, "; more than the %.2f allowed", 100 * inputs.max_drop);
  } else if (IsUncertain(measurement, inputs.max_drop)) {
    absl::StrAppendFormat(&reason, "; these data leave open whether it is more than %.2f", 100 * inputs.max_drop);
  }
  return reason;
}

std::vector<std::string> NextSteps(const std::string& chosen, const std::vector<VariantResult>& results,
                                   const AdviceInputs& inputs) {
  std::vector<std::string> next;
  if (!inputs.has_calibration) {
    next.push_back("with --calibration, about 100 texts: smooth, static and mixed could be tried");
  }
  if (!inputs.has_labels) {
    next.push_back("with --task and --data, labelled examples: the loss would be told in the metric that matters");
  }
  const bool int8_fails =
      !results.empty() && std::none_of(results.begin(), results.end(), [&](const VariantResult& result) {
        return result.measurement.has_value() && result.measurement->precision == "int8" &&
               DropOf(*result.measurement) <= inputs.max_drop;
      });
  if (int8_fails && inputs.can_train) {
    next.push_back("no int8 variant stays within the limit: train on with octet's arithmetic (tools/qat)");
  } else if (int8_fails) {
    next.push_back(
        "no int8 variant stays within the limit: quantization-aware training (tools/qat) needs labelled "
        "training data");
  } else if (chosen == kBaselineVariant || chosen == "bf16") {
    next.push_back("int8 is no faster here: a CPU with VNNI or a larger model changes that");
  }
  return next;
}

}  // namespace

Advice ChooseVariant(const std::vector<VariantResult>& results, const AdviceInputs& inputs) {
  const Measurement& baseline = BaselineOf(results);
  Advice advice{.variant = Best(results, inputs.max_drop)->name, .reasons = {}, .next = {}};  // f32 at least
  for (const VariantResult& result : results) advice.reasons.push_back(ReasonOf(result, baseline, inputs));
  advice.next = NextSteps(advice.variant, results, inputs);
  return advice;
}

Advice ChooseBySpeed(const PrecisionSpeeds& speeds, const AdviceInputs& inputs) {
  const auto& by_precision = speeds.tokens_per_second;
  const double f32 = by_precision.at("f32");
  const auto fastest = std::max_element(by_precision.begin(), by_precision.end(),
                                        [](const auto& a, const auto& b) { return a.second < b.second; });
  const bool int8_pays = by_precision.at("int8") >= (1 - kSpeedNoise) * fastest->second;
  Advice advice{.variant = int8_pays ? "int8" : fastest->first, .reasons = {}, .next = {}};
  for (const auto& [precision, speed] : by_precision) {
    advice.reasons.push_back(
        absl::StrFormat("%s: %.2f times the speed of f32; not known how close", precision, speed / f32));
  }
  advice.next = NextSteps(advice.variant, {}, inputs);
  return advice;
}

}  // namespace octet::cli
