// Rounds the weights of a linear layer to s8: to nearest, or one input channel after the other, spreading each
// rounding's error over the channels not yet rounded so that the layer's outputs, not its weights, stay close. Source:
// GPTQ (Frantar et al. 2022), algorithm 1, without lazy batches; the damping is theirs. Scales are searched for by the
// same measure.
#ifndef OCTET_MODEL_QUANTIZE_WEIGHT_ROUNDING_H_
#define OCTET_MODEL_QUANTIZE_WEIGHT_ROUNDING_H_

#include <cstdint>
#include <span>
#include <vector>

#include "absl/status/statusor.h"

namespace octet::model {

struct RoundedWeights {
  std::vector<int8_t> values;  // [out_dim, in_dim]
  std::vector<float> scales;   // [out_dim]: max|w| / 127 or, searched for, less; 1 where all are zero
};

struct RoundingOptions {
  int num_threads = 1;  // share the output channels
  // Tries scales that clip the largest weights too, and takes for each output channel what does the least damage.
  bool clipping_search = false;
};

// weights: [out_dim, in_dim], after any factors.
RoundedWeights RoundToNearest(std::span<const float> weights, size_t in_dim);

// weights: [out_dim, in_dim]. inputs: [num_rows, in_dim], what the layer multiplies them with: quantized and back.
// Internal when the inputs' second moments cannot be factored (not finite).
absl::StatusOr<RoundedWeights> RoundWithCompensation(std::span<const float> weights, size_t in_dim,
                                                     std::span<const float> inputs, const RoundingOptions& options);

// The upper triangular U with (X^T X + damping)^-1 = U^T U, [n, n] row by row; `moments`: X^T X, [n, n], both
// triangles. Exposed for its test. Internal as above.
absl::StatusOr<std::vector<double>> InverseFactor(std::vector<double> moments, size_t n);

}  // namespace octet::model

#endif  // OCTET_MODEL_QUANTIZE_WEIGHT_ROUNDING_H_
