#include "model/value_range.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

namespace octet::model {

ValueRange RangeOf(std::span<const float> x, const float* factors) {
  ValueRange range;
  bool finite = true;
  for (size_t c = 0; c < x.size(); ++c) {
    const float value = factors == nullptr ? x[c] : x[c] * factors[c];
    range.min = std::min(range.min, value);
    range.max = std::max(range.max, value);
    finite &= std::abs(value) <= std::numeric_limits<float>::max();
  }
  return finite ? range : ValueRange{};
}

void Widen(const ValueRange& other, ValueRange* range) {
  range->min = std::min(range->min, other.min);
  range->max = std::max(range->max, other.max);
}

kernels::RowQuantization QuantizationOf(const ValueRange& range) {
  const float scale = range.max / 255.0f - range.min / 255.0f;
  if (scale < 1e-37f) return {.scale = 1, .zero_point = 0};
  return {.scale = scale, .zero_point = static_cast<int32_t>(std::nearbyint(-range.min * (1.0f / scale)))};
}

}  // namespace octet::model
