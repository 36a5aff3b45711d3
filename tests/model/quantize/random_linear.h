// A linear layer and inputs with a few loud channels, as encoders have them: what quantization techniques are made for.
#ifndef OCTET_TESTS_MODEL_QUANTIZE_RANDOM_LINEAR_H_
#define OCTET_TESTS_MODEL_QUANTIZE_RANDOM_LINEAR_H_

#include <random>

#include "model/linear_load.h"
#include "model/quantize/calibration.h"

namespace octet::model {

inline OwnedLinear RandomLinear(size_t in_dim, size_t out_dim, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  OwnedLinear linear{.in_dim = in_dim,
                     .out_dim = out_dim,
                     .weights = AlignedBuffer<float>(in_dim * out_dim),
                     .bias = AlignedBuffer<float>(out_dim)};
  for (float& w : linear.weights.span()) w = 0.1f * normal(random);
  for (float& b : linear.bias.span()) b = normal(random);
  return linear;
}

// Rows of texts of five tokens. Every eighth channel is thirty times as loud as the others, and neighbours are
// correlated.
inline LinearInputs RandomInputs(size_t num_rows, size_t dim, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  LinearInputs inputs{.dim = dim, .rows = {}, .text_of_row = {}};
  for (size_t r = 0; r < num_rows; ++r) {
    float before = 0;
    for (size_t c = 0; c < dim; ++c) {
      before = 0.7f * before + normal(random);
      inputs.rows.push_back(c % 8 == 3 ? 30 * before : before);
    }
    inputs.text_of_row.push_back(static_cast<uint32_t>(r / 5));
    inputs.weights.push_back(0.2f);
  }
  return inputs;
}

}  // namespace octet::model

#endif  // OCTET_TESTS_MODEL_QUANTIZE_RANDOM_LINEAR_H_
