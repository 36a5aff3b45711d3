#include "model/activation_clipping.h"

#include "kernels/kernel_table.h"
#include "kernels/linear.h"

namespace octet::model {
namespace {

size_t NumLinears(const Encoder& encoder) { return encoder.config().num_layers * kLinearsPerLayer; }

bool IsFixed(const kernels::InputFormat& format) {
  return format.kind == kernels::LinearKind::kInt8 && format.range == kernels::RowRange::kFixed;
}

}  // namespace

bool HasFixedRanges(const Encoder& encoder) {
  for (size_t i = 0; i < NumLinears(encoder); ++i) {
    if (IsFixed(encoder.input_format(i))) return true;
  }
  return false;
}

ClippingCounter::ClippingCounter(const Encoder& encoder) : ranges_(NumLinears(encoder)) {
  // As KernelTable::quantize_row_u8 rounds: what lies up to half a step beyond the last value is rounded to it, not cut.
  constexpr float kLargest = 255, kHalf = 0.5f;
  for (size_t i = 0; i < ranges_.size(); ++i) {
    const kernels::InputFormat& format = encoder.input_format(i);
    if (!IsFixed(format)) continue;
    const float scale = format.fixed.scale, zero_point = static_cast<float>(format.fixed.zero_point);
    ranges_[i] = {.is_fixed = true,
                  .min = (-zero_point - kHalf) * scale,
                  .max = (kLargest - zero_point + kHalf) * scale,
                  .factors = format.factors};
  }
}

void ClippingCounter::OnRow(size_t linear_idx, std::span<const float> x) {
  const Range& range = ranges_[linear_idx];
  if (!range.is_fixed) return;
  uint64_t clipped = 0;
  for (size_t c = 0; c < x.size(); ++c) {
    const float value = range.factors.empty() ? x[c] : x[c] * range.factors[c];
    clipped += value < range.min || value > range.max ? 1 : 0;
  }
  values_.fetch_add(x.size(), std::memory_order_relaxed);
  clipped_.fetch_add(clipped, std::memory_order_relaxed);
}

ClippingCount ClippingCounter::count() const {
  return {.values = values_.load(std::memory_order_relaxed), .clipped = clipped_.load(std::memory_order_relaxed)};
}

}  // namespace octet::model
