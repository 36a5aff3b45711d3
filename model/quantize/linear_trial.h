// Tries ways of computing one linear layer on rows that it will see, with the arithmetic that serves: how far are the
// outputs from f32's? Not thread-safe.
#ifndef OCTET_MODEL_QUANTIZE_LINEAR_TRIAL_H_
#define OCTET_MODEL_QUANTIZE_LINEAR_TRIAL_H_

#include <span>
#include <vector>

#include "absl/status/statusor.h"
#include "base/cpu_isa.h"
#include "kernels/linear.h"
#include "model/linear_load.h"
#include "model/quantize/calibration.h"

namespace octet::model {

class LinearTrial {
 public:
  // Of `inputs` at most `max_rows`, evenly taken, are used. Everything is borrowed.
  LinearTrial(Isa isa, const OwnedLinear& linear, const LinearInputs& inputs, size_t max_rows);

  // Mean over rows, by their weights, and outputs of the squared difference to f32, with the layer's weights divided by the factors of
  // `input` and rounded to nearest.
  absl::StatusOr<double> ErrorOf(const kernels::InputFormat& input);
  // With weights that apply to the input after its factors.
  absl::StatusOr<double> ErrorOf(const kernels::LinearWeights& weights, const kernels::InputFormat& input);
  // Mean over rows, by their weights, of the cosine of a row of outputs with f32's. A row of zeros has cosine 0.
  absl::StatusOr<double> MeanCosineOf(const kernels::LinearWeights& weights, const kernels::InputFormat& input);
  // Mean over rows of (output - f32's), [out_dim].
  absl::StatusOr<std::vector<float>> MeanDifference(const kernels::LinearWeights& weights,
                                                    const kernels::InputFormat& input);
  // Mean square of f32's outputs; after the first of the others only.
  double MeanSquareOfReference() const;

 private:
  // y: [num_rows, out_dim].
  absl::StatusOr<std::vector<float>> Compute(const kernels::LinearWeights& weights,
                                             const kernels::InputFormat& input) const;
  absl::Status ComputeReference();
  // Of [num_rows, out_dim], rows by weight.
  double MeanSquare(std::span<const float> values) const;

  const Isa isa_;
  const OwnedLinear& linear_;
  std::vector<std::span<const float>> rows_;
  std::vector<double> weights_;   // [num_rows], summing to 1
  std::vector<float> reference_;  // [num_rows, out_dim], made when first needed
};

}  // namespace octet::model

#endif  // OCTET_MODEL_QUANTIZE_LINEAR_TRIAL_H_
