#include "server/cli/inspect/inspect_linear.h"

#include <algorithm>
#include <span>
#include <vector>

#include "base/status_macros.h"
#include "model/quantize/input_rounding.h"
#include "model/quantize/linear_trial.h"

namespace octet::cli {
namespace {

using kernels::LinearKind;

// Rows of a trial, as many as quantization itself decides on (model/quantize/technique.cc).
constexpr size_t kTrialRows = 768;

// [out_dim, in_dim], as the product sees them.
std::vector<float> LoadedWeights(const kernels::LinearWeights& weights) {
  if (!weights.f32.empty()) return {weights.f32.begin(), weights.f32.end()};
  std::vector<float> values(weights.s8.size());
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] = weights.scales[i / weights.in_dim] * static_cast<float>(weights.s8[i]);
  }
  return values;
}

ValueInspection InspectWeights(const LinearSubject& subject) {
  std::vector<float> original;
  if (subject.floats != nullptr) {
    const std::span<const float> floats = subject.floats->weights.span();
    original.assign(floats.begin(), floats.end());
    model::DivideByFactors(subject.input.factors, original);
  }
  return InspectValues(original, LoadedWeights(subject.weights), subject.weights.in_dim, {});
}

ValueInspection InspectInputs(const LinearSubject& subject) {
  const model::LinearInputs& inputs = *subject.inputs;
  std::vector<float> original = inputs.rows, rounded(inputs.rows.size());
  for (size_t r = 0; r < inputs.num_rows(); ++r) {
    model::RoundInputRow(subject.isa, subject.input, inputs.row(r), 1.0f,
                         std::span(rounded).subspan(r * inputs.dim, inputs.dim));
  }
  const std::vector<float>& factors = subject.input.factors;
  if (!factors.empty()) {
    for (size_t i = 0; i < original.size(); ++i) original[i] *= factors[i % inputs.dim];
  }
  return InspectValues(original, rounded, inputs.dim, inputs.weights);
}

absl::Status InspectOutputs(const LinearSubject& subject, LinearInspection* inspection) {
  model::LinearTrial trial(subject.isa, *subject.floats, *subject.inputs, kTrialRows);
  ASSIGN_OR_RETURN(const double error, trial.ErrorOf(subject.weights, subject.input));
  inspection->output_signal_to_noise_db = Decibels(trial.MeanSquareOfReference(), error);
  ASSIGN_OR_RETURN(inspection->output_cosine, trial.MeanCosineOf(subject.weights, subject.input));
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<LinearInspection> InspectLinear(const LinearSubject& subject) {
  LinearInspection inspection;
  inspection.in_dim = subject.weights.in_dim;
  inspection.out_dim = subject.weights.out_dim;
  inspection.kind = subject.input.kind;
  inspection.range = subject.input.range;
  inspection.has_factors =
      std::any_of(subject.input.factors.begin(), subject.input.factors.end(), [](float factor) { return factor != 1; });
  inspection.weights = InspectWeights(subject);
  if (subject.inputs == nullptr) return inspection;
  inspection.inputs = InspectInputs(subject);
  if (subject.floats != nullptr) RETURN_IF_ERROR(InspectOutputs(subject, &inspection));
  return inspection;
}

}  // namespace octet::cli
