// How each linear layer of an encoder computes: the seam between quantization techniques, which decide, and the
// engine, which obeys. A plan is data: made by a technique, read from a quantized model directory, or uniform.
#ifndef OCTET_MODEL_LINEAR_PLAN_H_
#define OCTET_MODEL_LINEAR_PLAN_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "kernels/linear.h"

namespace octet::model {

// The linear layers of one encoder layer, in the order of computing.
enum class LinearSlot {
  kQueryKeyValue,    // hidden -> 3 hidden: one input, three products
  kAttentionOutput,  // hidden -> hidden
  kIntermediate,     // hidden -> intermediate
  kOutput,           // intermediate -> hidden
};
inline constexpr size_t kLinearsPerLayer = 4;

// Place of a linear layer among all of an encoder.
constexpr size_t LinearIdx(size_t layer_idx, LinearSlot slot) {
  return layer_idx * kLinearsPerLayer + static_cast<size_t>(slot);
}
// "layer 3 intermediate", for reports and errors.
std::string LinearName(size_t linear_idx);

struct LinearPlan {
  kernels::InputFormat input = {};
  // kInt8 only, and all empty unless a technique has rounded the weights itself: [out_dim, in_dim] and
  // [out_dim], applying to the input after its factors; the bias that goes with them, [out_dim].
  std::vector<int8_t> weights = {};
  std::vector<float> scales = {};
  std::vector<float> bias = {};
};

struct QuantizationPlan {
  std::vector<LinearPlan> linears = {};  // by LinearIdx
  std::string technique = "dynamic";     // that made it: ModelInfo::quantization
};

// Sees what linear layers get as input while a pass runs, for calibration. Called for every row of every linear
// layer, by the thread that computes the row; a team of one thread needs no locks.
class LinearInputObserver {
 public:
  virtual ~LinearInputObserver() = default;
  // x: [in_dim], f32, before the factors of the layer's input; valid during the call.
  virtual void OnRow(size_t linear_idx, std::span<const float> x) = 0;
};

}  // namespace octet::model

#endif  // OCTET_MODEL_LINEAR_PLAN_H_
