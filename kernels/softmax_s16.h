// The arithmetic of KernelTable::softmax_s16 that all its implementations have in common. Internal to this folder.
//
// Scores are integers of 16 bits, and so is everything that is made of each: 2^-t by a polynomial in fixed point, where t
// is how far a score lies below its row's largest, in steps of 2^(whole bits - 16).
#ifndef OCTET_KERNELS_SOFTMAX_S16_H_
#define OCTET_KERNELS_SOFTMAX_S16_H_

#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>

#include "kernels/kernel_table.h"

namespace octet::kernels {

// 2^-f = c0 - f (c1 - f (c2 - f c3)) for f of 16 bits, 0 <= f < 1, in units of 2^-16, each product rounded down; c0 is twice what
// a weight's 15 bits hold. Relative error below 1.5e-4, of least maximum among those with this c0.
inline constexpr uint16_t kPowerCoefficients[] = {65534, 45308, 15119, 2579};

// t = (d * factor) >> 16 for a score that is d below the largest; its whole part is (t * two_to_whole_bits) >> 16.
struct ScoreSteps {
  uint16_t factor, two_to_whole_bits;
};

// Of scores in units of `unit` powers of two. From 2^-1 on, beyond which a score that is not the largest has next to no
// weight, and for what is no number, they are those of the largest.
inline ScoreSteps StepsOf(float unit) {
  constexpr int kMantissaBits = 23, kMaxWholeBits = 15;
  const auto bits = std::bit_cast<uint32_t>(unit);  // > 0
  const int exponent = static_cast<int>(bits >> kMantissaBits) - 127, whole_bits = exponent + 17;
  const uint32_t mantissa =
      ((bits & ((1u << kMantissaBits) - 1)) | (1u << kMantissaBits)) >> 8;  // 16 bits, the first is 1
  if (whole_bits > kMaxWholeBits) return {0xFFFF, 1u << kMaxWholeBits};
  if (whole_bits >= 0) return {static_cast<uint16_t>(mantissa), static_cast<uint16_t>(1u << whole_bits)};
  return {static_cast<uint16_t>(whole_bits > -16 ? mantissa >> -whole_bits : 0), 1};
}

// What a score's integer of 16 bits is worth in powers of two, before the query's scale.
inline float ScoreUnit(const SoftmaxS16& s) {
  constexpr float kLog2E = 1.44269504f, kWhole = 32768.0f / kWholeScale;
  return std::ldexp(s.keys.largest * (kLog2E * kWhole), 16 - s.score_shift);
}

// Weights as they are, whose sum is `sum`, become p by a multiplication with `narrowing` / 2^15, unless CanSumWhole.
struct WeightSum {
  int16_t narrowing;
  float factor;  // SoftmaxS16::factors
};

// Whether the weights of n keys may be as large as they are.
inline bool CanSumWhole(size_t n) { return static_cast<float>(n) * 32767.0f <= kSoftmaxS16Sum; }

inline WeightSum NarrowingOf(const SoftmaxS16& s, int32_t sum, float score_unit) {
  const auto weights = static_cast<float>(sum);
  const float by_sum = kSoftmaxS16Sum * 32768.0f / weights,
              narrowing = by_sum < 32767.0f ? std::trunc(by_sum) : 32767.0f;
  const float times = CanSumWhole(s.n) ? 32768.0f : narrowing;
  const bool is_number = score_unit <= std::numeric_limits<float>::max();
  const float value = is_number ? s.values.largest : std::numeric_limits<float>::quiet_NaN();
  // Of p's products with values: weights are parts of kWholeScale of the largest.
  return {static_cast<int16_t>(narrowing), value * (32768.0f / kWholeScale) * 32768.0f / (weights * times)};
}

}  // namespace octet::kernels

#endif  // OCTET_KERNELS_SOFTMAX_S16_H_
