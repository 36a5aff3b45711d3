#include "model/quantize/technique.h"

#include <algorithm>
#include <cmath>
#include <span>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "model/linear_load.h"
#include "model/quantize/input_rounding.h"
#include "model/quantize/linear_trial.h"
#include "model/quantize/smoothing.h"
#include "model/quantize/weight_rounding.h"

namespace octet::model {
namespace {

using kernels::InputFormat;
using kernels::LinearWeights;
using kernels::RowRange;

constexpr struct {
  Technique technique;
  const char* name;
} kTechniqueNames[] = {{Technique::kDynamic, "dynamic"},
                       {Technique::kSmooth, "smooth"},
                       {Technique::kStatic, "static"},
                       {Technique::kMixed, "mixed"}};

// Rows of a trial: the error's relative uncertainty is far below the difference between neighbouring strengths.
constexpr size_t kTrialRows = 768;

void TakeWeights(RoundedWeights rounded, LinearPlan* plan) {
  plan->weights = std::move(rounded.values);
  plan->scales = std::move(rounded.scales);
}

// One linear layer's way from floats to its plan.
class LinearPlanner {
 public:
  LinearPlanner(const TechniqueOptions& options, const OwnedLinear& linear, const LinearInputs& inputs)
      : options_(options), linear_(linear), inputs_(inputs), trial_(options.isa, linear, inputs, kTrialRows) {}

  absl::Status Plan(LinearPlan* plan, LinearReport* report) {
    ASSIGN_OR_RETURN(report->error_dynamic, trial_.ErrorOf(InputFormat{}));
    report->signal = trial_.MeanSquareOfReference();
    plan->bias.assign(linear_.bias.span().begin(), linear_.bias.span().end());
    RETURN_IF_ERROR(ChooseInput(plan, report));
    RETURN_IF_ERROR(RoundWeights(plan));
    if (options_.bias_correction) RETURN_IF_ERROR(CorrectBias(plan));
    ASSIGN_OR_RETURN(report->error, trial_.ErrorOf(WeightsOf(*plan), plan->input));
    return absl::OkStatus();
  }

 private:
  LinearWeights WeightsOf(const LinearPlan& plan) const {
    return {.in_dim = linear_.in_dim,
            .out_dim = linear_.out_dim,
            .bias = plan.bias,
            .s8 = plan.weights,
            .scales = plan.scales};
  }

  InputFormat FormatOf(std::vector<float> factors) const {
    InputFormat format;
    if (options_.technique == Technique::kStatic) {
      format.range = RowRange::kFixed;
      format.fixed = QuantizationOf(ObserveRange(options_.observer, inputs_, factors));
    }
    format.factors = std::move(factors);
    return format;
  }

  absl::Status ChooseInput(LinearPlan* plan, LinearReport* report) {
    std::vector<float> factors;
    if (options_.smoothing) {
      const auto format_of = [this](std::vector<float> candidate) { return FormatOf(std::move(candidate)); };
      ASSIGN_OR_RETURN(SmoothingChoice choice, ChooseSmoothing(ChannelMax(inputs_), linear_, format_of, &trial_));
      factors = std::move(choice.factors);
      report->alpha = choice.alpha;
    }
    plan->input = FormatOf(std::move(factors));
    return absl::OkStatus();
  }

  absl::Status RoundWeights(LinearPlan* plan) {
    std::vector<float> weights(linear_.weights.span().begin(), linear_.weights.span().end());
    DivideByFactors(plan->input.factors, weights);
    if (options_.compensation) {
      ASSIGN_OR_RETURN(
          RoundedWeights rounded,
          RoundWithCompensation(weights, linear_.in_dim, QuantizedInputs(plan->input),
                                {.num_threads = options_.num_threads, .clipping_search = options_.clipping_search}));
      TakeWeights(std::move(rounded), plan);
      return absl::OkStatus();
    }
    TakeWeights(RoundToNearest(weights, linear_.in_dim), plan);
    return absl::OkStatus();
  }

  // The inputs as the layer's product will see them, quantized and back, each row times the root of its weight: so
  // that second moments are weighted.
  std::vector<float> QuantizedInputs(const InputFormat& format) const {
    std::vector<float> values(inputs_.rows.size());
    for (size_t r = 0; r < inputs_.num_rows(); ++r) {
      RoundInputRow(options_.isa, format, inputs_.row(r), std::sqrt(inputs_.weights[r]),
                    std::span(values).subspan(r * linear_.in_dim, linear_.in_dim));
    }
    return values;
  }

  absl::Status CorrectBias(LinearPlan* plan) {
    ASSIGN_OR_RETURN(const std::vector<float> difference, trial_.MeanDifference(WeightsOf(*plan), plan->input));
    for (size_t j = 0; j < difference.size(); ++j) plan->bias[j] -= difference[j];
    return absl::OkStatus();
  }

  const TechniqueOptions& options_;
  const OwnedLinear& linear_;
  const LinearInputs& inputs_;
  LinearTrial trial_;
};

}  // namespace

absl::string_view TechniqueName(Technique technique) {
  for (const auto& entry : kTechniqueNames) {
    if (entry.technique == technique) return entry.name;
  }
  return "";
}

absl::StatusOr<Technique> ParseTechnique(absl::string_view name) {
  std::string known;
  for (const auto& entry : kTechniqueNames) {
    if (name == entry.name) return entry.technique;
    absl::StrAppend(&known, known.empty() ? "" : ", ", entry.name);
  }
  return absl::InvalidArgumentError(absl::StrCat("method: unknown, allowed are ", known));
}

absl::StatusOr<PlannedLayer> PlanLayerWithoutTexts(const EncoderConfig& config, size_t layer_idx, Weights* weights,
                                                   const std::vector<std::vector<float>>& probe_rows) {
  PlannedLayer layer;
  for (size_t slot = 0; slot < kLinearsPerLayer; ++slot) {
    const size_t linear_idx = LinearIdx(layer_idx, static_cast<LinearSlot>(slot));
    ASSIGN_OR_RETURN(OwnedLinear linear, ReadOwnedLinear(config, linear_idx, weights));
    LinearPlan& plan = layer.linears[slot];
    if (!probe_rows.empty() && !probe_rows[linear_idx].empty()) {
      SmoothingChoice choice = ChooseSmoothingByRows(probe_rows[linear_idx], linear);
      plan.input.factors = std::move(choice.factors);
      DivideByFactors(plan.input.factors, linear.weights.span());
      layer.reports[slot].alpha = choice.alpha;
    }
    plan.bias.assign(linear.bias.span().begin(), linear.bias.span().end());
    TakeWeights(RoundToNearest(linear.weights.span(), linear.in_dim), &plan);
  }
  return layer;
}

absl::StatusOr<PlannedLayer> PlanLayer(const TechniqueOptions& options, const EncoderConfig& config, size_t layer_idx,
                                       Weights* weights, Calibration* calibration) {
  ASSIGN_OR_RETURN(const std::vector<LinearInputs> inputs, calibration->InputsOfLayer(layer_idx));
  PlannedLayer layer;
  for (size_t slot = 0; slot < kLinearsPerLayer; ++slot) {
    const size_t linear_idx = LinearIdx(layer_idx, static_cast<LinearSlot>(slot));
    ASSIGN_OR_RETURN(const OwnedLinear linear, ReadOwnedLinear(config, linear_idx, weights));
    RETURN_IF_ERROR(LinearPlanner(options, linear, inputs[slot]).Plan(&layer.linears[slot], &layer.reports[slot]));
  }
  return layer;
}

}  // namespace octet::model
