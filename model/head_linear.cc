#include "model/head_linear.h"

#include "absl/strings/str_cat.h"
#include "base/aligned_buffer.h"
#include "base/status_macros.h"

namespace octet::model {

absl::StatusOr<std::unique_ptr<kernels::Linear>> LoadHeadLinear(const std::string& name, uint64_t in_dim,
                                                                uint64_t out_dim, kernels::LinearFactory* factory,
                                                                Weights* weights) {
  AlignedBuffer<float> weight(in_dim * out_dim, Lifetime::kShort), bias(out_dim, Lifetime::kShort);
  const uint64_t weight_shape[] = {out_dim, in_dim}, bias_shape[] = {out_dim};
  RETURN_IF_ERROR(weights->ReadF32(absl::StrCat(name, ".weight"), weight_shape, weight.span()));
  RETURN_IF_ERROR(weights->ReadF32(absl::StrCat(name, ".bias"), bias_shape, bias.span()));
  return factory->MakeLinear({.in_dim = in_dim, .out_dim = out_dim, .bias = bias.span(), .f32 = weight.span()},
                             {.kind = kernels::LinearKind::kF32});
}

}  // namespace octet::model
