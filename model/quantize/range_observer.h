// Chooses the fixed range of a layer's input from calibration: what static quantization clips to. Pure functions.
#ifndef OCTET_MODEL_QUANTIZE_RANGE_OBSERVER_H_
#define OCTET_MODEL_QUANTIZE_RANGE_OBSERVER_H_

#include <span>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "kernels/kernel_table.h"
#include "model/quantize/calibration.h"

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

struct ValueRange {
  float min = 0, max = 0;  // min <= 0 <= max
};

// Of inputs times factors ([dim], or empty).
ValueRange ObserveRange(RangeObserver observer, const LinearInputs& inputs, std::span<const float> factors);

// scale = (max - min) / 255, zero_point = round(-min / scale); a range of zeros gets scale 1.
kernels::RowQuantization QuantizationOf(const ValueRange& range);

}  // namespace octet::model

#endif  // OCTET_MODEL_QUANTIZE_RANGE_OBSERVER_H_
