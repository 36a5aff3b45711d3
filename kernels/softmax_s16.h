// The arithmetic of KernelTable::softmax_s16 that all its implementations have in common. Internal to this folder.
//
// Scores are integers of 16 bits, and so is everything that is made of each: 2^-t by a polynomial in fixed point, where t
// is how far a score lies below its row's largest, in steps of 2^(whole bits - 16).
#ifndef OCTET_KERNELS_SOFTMAX_S16_H_
#define OCTET_KERNELS_SOFTMAX_S16_H_

#include <cstddef>
#include <cstdint>
#include <numbers>

#include "kernels/kernel_table.h"

namespace octet::kernels {

// 2^-f = c0 - f (c1 - f (c2 - f c3)) for f of 16 bits, 0 <= f < 1, in units of 2^-16, each product rounded down; c0 is twice what
// a weight's 15 bits hold. Relative error below 1.5e-4, of least maximum among those with this c0.
inline constexpr uint16_t kPowerCoefficients[] = {65534, 45308, 15119, 2579};

// A row's t is (d * factor) >> 16 for a score that is d below the largest, its whole part (t * 2^whole bits) >> 16, where the
// factor and the whole bits are such that t is d in `unit` powers of two (ScoreUnit times the query's scale). From 2^-2 on, beyond
// which a score that is not the largest has next to no weight, and for what is no number, there are no more than these.
inline constexpr int kMaxWholeBits = 15;

// What a score's integer of 16 bits is worth in powers of two, before the query's scale.
inline float ScoreUnit(const SoftmaxS16& s) {
  constexpr float kWhole = 32768.0f / kWholeScale;
  return s.keys.largest * (std::numbers::log2e_v<float> * kWhole) * static_cast<float>(1 << (16 - s.score_shift));
}

// Whether p of n keys may be as large as weights and values make them.
inline bool CanSumWhole(size_t n) { return static_cast<float>(n) * 32767.0f <= kSoftmaxS16Sum; }

// Else p is multiplied by a whole number of 2^-15: this by the sum of the row's weights, at most 32767.
inline constexpr float kNarrowing = kSoftmaxS16Sum * 32768.0f;

// A row's factor is this by the sum of its weights and by what they were multiplied with, in 2^-15.
inline float ValueUnit(const SoftmaxS16& s) { return s.values.largest * (32768.0f / kWholeScale) * 32768.0f; }

}  // namespace octet::kernels

#endif  // OCTET_KERNELS_SOFTMAX_S16_H_
