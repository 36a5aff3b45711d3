#include "model/value_range.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <iterator>

namespace octet::model {
namespace {

// value(c) for c below n. In lanes: an extreme of all would wait for the value before.
template <typename F>
ValueRange RangeOfValues(size_t n, const F& value) {
  constexpr size_t kLanes = 16;
  float min[kLanes] = {}, max[kLanes] = {}, unless_finite[kLanes] = {};  // 0, or NaN
  const auto widen = [&](size_t lane, float v) {
    min[lane] = std::min(min[lane], v);
    max[lane] = std::max(max[lane], v);
    unless_finite[lane] += v - v;
  };
  size_t c = 0;
  for (; c + kLanes <= n; c += kLanes) {
    for (size_t i = 0; i < kLanes; ++i) widen(i, value(c + i));
  }
  for (; c < n; ++c) widen(0, value(c));
  if (std::any_of(std::begin(unless_finite), std::end(unless_finite), [](float v) { return std::isnan(v); })) return {};
  return {*std::min_element(std::begin(min), std::end(min)), *std::max_element(std::begin(max), std::end(max))};
}

}  // namespace

ValueRange RangeOf(std::span<const float> x, const float* factors) {
  if (factors == nullptr) return RangeOfValues(x.size(), [x](size_t c) { return x[c]; });
  return RangeOfValues(x.size(), [x, factors](size_t c) { return x[c] * factors[c]; });
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
