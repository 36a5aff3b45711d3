// Tensors of a model directory to one linear layer of the encoder: floats, which are quantized or converted here as
// the plan says, or weights that are stored quantized. Internal to loading; not thread-safe.
#ifndef OCTET_MODEL_LINEAR_LOAD_H_
#define OCTET_MODEL_LINEAR_LOAD_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/aligned_buffer.h"
#include "kernels/linear.h"
#include "model/encoder.h"
#include "model/encoder_config.h"
#include "model/linear_plan.h"
#include "model/weights.h"

namespace octet::model {

// [out_dim, in_dim] of a linear layer.
struct LinearShape {
  uint64_t in_dim = 0, out_dim = 0;
};
LinearShape ShapeOfLinear(const EncoderConfig& config, size_t linear_idx);

// The names, without prefix and ending, of the tensors whose output channels it consists of, in their order; all of
// one size.
std::vector<std::string> NamesOfLinear(const EncoderConfig& config, size_t linear_idx);

// A linear layer's values as floats.
struct OwnedLinear {
  uint64_t in_dim = 0, out_dim = 0;
  AlignedBuffer<float> weights = {};  // [out_dim, in_dim]
  AlignedBuffer<float> bias = {};     // [out_dim]
};
// Errors of Weights::ReadF32.
absl::StatusOr<OwnedLinear> ReadOwnedLinear(const EncoderConfig& config, size_t linear_idx, Weights* weights);

// weights[j, c] /= factors[c], as inputs are multiplied by them; nothing when there are none. weights: [out_dim, in_dim].
void DivideByFactors(std::span<const float> factors, std::span<float> weights);

// What a linear layer will compute in, at most in bytes: a float layer of a quantized directory that this says is
// kF32 may turn out to be BF16.
kernels::LinearKind KindOfLinear(const EncoderConfig& config, const EncoderOptions& options, size_t linear_idx);

// The LayerNorm whose output is the layer's input, without ending; "" when there is none.
std::string NormInFront(const EncoderConfig& config, size_t linear_idx);

struct LoadedLinear {
  std::vector<std::unique_ptr<kernels::Linear>> parts;  // one for each of NamesOfLinear
  // [in_dim], or empty: what the rows of its input must have been multiplied by, beside the factors that it multiplies by itself.
  // Powers of two, so that the LayerNorm in front can do it and the residual be what it was.
  std::vector<float> norm_factors;
};

class LinearLoader {
 public:
  // All of them must outlive the loader.
  LinearLoader(const EncoderConfig* config, const EncoderOptions* options, Weights* weights,
               kernels::LinearFactory* factory)
      : config_(*config), options_(*options), weights_(*weights), factory_(*factory) {}

  // InvalidArgument naming the tensor; see Weights.
  absl::StatusOr<LoadedLinear> Load(size_t linear_idx);

 private:
  absl::StatusOr<LoadedLinear> LoadFloats(size_t linear_idx, kernels::InputFormat input);
  absl::StatusOr<LoadedLinear> LoadQuantized(size_t linear_idx, const std::vector<std::string>& names);
  absl::StatusOr<LoadedLinear> MakePlanned(size_t linear_idx, const LinearPlan& plan);
  // Factors that are all 1 are left out.
  absl::StatusOr<LoadedLinear> Make(size_t linear_idx, const kernels::LinearWeights& weights,
                                    kernels::InputFormat input);

  // One scale per output channel of the part, whether the file has one for each or one for all.
  absl::Status ReadScales(const std::string& name, std::span<float> scales);
  absl::StatusOr<kernels::InputFormat> ReadInputFormat(const std::string& name, uint64_t in_dim);
  absl::StatusOr<float> ReadScalar(const std::string& name);

  const EncoderConfig& config_;
  const EncoderOptions& options_;
  Weights& weights_;
  kernels::LinearFactory& factory_;
};

}  // namespace octet::model

#endif  // OCTET_MODEL_LINEAR_LOAD_H_
