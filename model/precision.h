// The arithmetic of the linear layers.
#ifndef OCTET_MODEL_PRECISION_H_
#define OCTET_MODEL_PRECISION_H_

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace octet::model {

enum class Precision {
  kInt8,  // u8 activations with per-token ranges x s8 weights per output channel; exact s32 sums
  kBf16,  // BF16 products, f32 sums; needs a CPU with BF16 dot products
  kF32,
};

// "int8", "bf16", "f32".
absl::string_view PrecisionName(Precision precision);
// InvalidArgument, listing the valid names, for any other.
absl::StatusOr<Precision> ParsePrecision(absl::string_view name);

}  // namespace octet::model

#endif  // OCTET_MODEL_PRECISION_H_
