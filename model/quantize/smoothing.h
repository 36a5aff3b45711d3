// Input factors that move the difficulty of quantizing a layer's input into its weights: channels with large values
// are made smaller, their weights larger by as much, and the product stays the same. Source: SmoothQuant (Xiao et al.
// 2022), equation 4, with the migration strength chosen for each layer by trial, as AWQ (Lin et al. 2023) does, or
// by the error to expect.
// Pure functions.
#ifndef OCTET_MODEL_QUANTIZE_SMOOTHING_H_
#define OCTET_MODEL_QUANTIZE_SMOOTHING_H_

#include <functional>
#include <span>
#include <vector>

#include "absl/status/statusor.h"
#include "kernels/linear.h"
#include "model/quantize/linear_trial.h"

namespace octet::model {

// factor[c] = weight_max[c]^(1 - alpha) / input_max[c]^alpha, divided by their geometric mean and rounded to a power of two:
// multiplying by it is exact, so that a LayerNorm can do it (model/linear_load). alpha in [0, 1].
// input_max, weight_max: [in_dim], what input channel c and its weights reach (ColumnMax); channels that are always zero count as the
// smallest other one.
std::vector<float> SmoothingFactors(std::span<const float> input_max, std::span<const float> weight_max, double alpha);

// max |values[:, c]| over the rows, [dim]. values: [rows, dim].
std::vector<float> ColumnMax(std::span<const float> values, size_t dim);
// The same of inputs.
std::vector<float> ChannelMax(const LinearInputs& inputs);

// The factors with the smallest trial error, over a set of strengths and none at all (then empty). `format_of` says how
// the input is quantized when it has these factors.
struct SmoothingChoice {
  std::vector<float> factors;
  double alpha = -1;  // -1: none
  double error = 0, error_without = 0;
};
absl::StatusOr<SmoothingChoice> ChooseSmoothing(
    std::span<const float> input_max, const OwnedLinear& linear,
    const std::function<kernels::InputFormat(std::vector<float> factors)>& format_of, LinearTrial* trial);

// The same by the error to expect instead of by trial: roundings of inputs and weights are taken as independent, each with a
// variance of a twelfth of its step's square, the step of a row being that of the range per token. rows: [num_rows, in_dim].
SmoothingChoice ChooseSmoothingByRows(std::span<const float> rows, const OwnedLinear& linear);

}  // namespace octet::model

#endif  // OCTET_MODEL_QUANTIZE_SMOOTHING_H_
