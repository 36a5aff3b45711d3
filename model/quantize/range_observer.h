// Chooses the fixed range of a layer's input from calibration: what static quantization clips to. Pure functions.
#ifndef OCTET_MODEL_QUANTIZE_RANGE_OBSERVER_H_
#define OCTET_MODEL_QUANTIZE_RANGE_OBSERVER_H_

#include <span>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "model/quantize/calibration.h"
#include "model/value_range.h"

namespace octet::model {

enum class RangeObserver {
  kMinMax,         // all values seen
  kMovingAverage,  // exponential moving average of the texts' ranges (Jacob et al. 2018, section 3.1)
  kPercentile,     // all but the outermost 0.01 % of values
  kEntropy,        // least Kullback-Leibler divergence of the quantized distribution (Migacz 2017)
  kMse,            // least squared error of the quantized values
};

// "min_max", "moving_average", "percentile", "entropy", "mse".
absl::string_view RangeObserverName(RangeObserver observer);
// InvalidArgument, listing the names, for any other.
absl::StatusOr<RangeObserver> ParseRangeObserver(absl::string_view name);

// Of inputs times factors ([dim], or empty).
ValueRange ObserveRange(RangeObserver observer, const LinearInputs& inputs, std::span<const float> factors);

}  // namespace octet::model

#endif  // OCTET_MODEL_QUANTIZE_RANGE_OBSERVER_H_
