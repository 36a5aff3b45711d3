// The linear layers of heads: f32 whatever the encoder's precision, for they are a ten-thousandth of its work.
// Thread-safe functions, no state.
#ifndef OCTET_MODEL_HEAD_LINEAR_H_
#define OCTET_MODEL_HEAD_LINEAR_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "kernels/linear.h"
#include "model/weights.h"

namespace octet::model {

// Reads <name>.weight, [out_dim, in_dim], and <name>.bias, [out_dim]. `factory` must outlive the layer. Errors as
// Weights::ReadF32, naming the tensor.
absl::StatusOr<std::unique_ptr<kernels::Linear>> LoadHeadLinear(const std::string& name, uint64_t in_dim,
                                                                uint64_t out_dim, kernels::LinearFactory* factory,
                                                                Weights* weights);

}  // namespace octet::model

#endif  // OCTET_MODEL_HEAD_LINEAR_H_
