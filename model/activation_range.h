// What shares a range when activations are quantized as they come. Static techniques know their ranges beforehand and
// have no choice here.
#ifndef OCTET_MODEL_ACTIVATION_RANGE_H_
#define OCTET_MODEL_ACTIVATION_RANGE_H_

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace octet::model {

enum class ActivationRange {
  kPerToken,  // each token's row its own
  kPerText,   // one range of each layer's input for all tokens of a text; two passes over what is quantized
  // An exponential moving average over the batches computed before (Jacob et al. 2018, section 3.1, while serving).
  // Answers depend on what was computed earlier: for comparisons.
  kMovingAverage,
};

// What the average keeps of itself with every batch; PyTorch's observers have the same.
inline constexpr double kDefaultMomentum = 0.99;

// "per_token", "per_text", "moving_average".
absl::string_view ActivationRangeName(ActivationRange range);
// InvalidArgument, listing the names, for any other.
absl::StatusOr<ActivationRange> ParseActivationRange(absl::string_view name);

}  // namespace octet::model

#endif  // OCTET_MODEL_ACTIVATION_RANGE_H_
