// Arithmetic on sizes that come from files: the result, or nothing when it does not fit 64 bits. No
// saturation and no exceptions, so that a caller cannot forget the overflow.
#ifndef OCTET_BASE_CHECKED_MATH_H_
#define OCTET_BASE_CHECKED_MATH_H_

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>

namespace octet {

inline std::optional<uint64_t> CheckedAdd(uint64_t a, uint64_t b) {
  uint64_t sum;
  if (__builtin_add_overflow(a, b, &sum)) return std::nullopt;
  return sum;
}

inline std::optional<uint64_t> CheckedMul(uint64_t a, uint64_t b) {
  uint64_t product;
  if (__builtin_mul_overflow(a, b, &product)) return std::nullopt;
  return product;
}

// 1 for no factors. A zero factor gives 0 even when the others would overflow: the order of a shape's
// dimensions must not decide whether it is accepted.
inline std::optional<uint64_t> CheckedProduct(std::span<const uint64_t> factors) {
  for (uint64_t factor : factors) {
    if (factor == 0) return 0;
  }
  uint64_t product = 1;
  for (uint64_t factor : factors) {
    if (__builtin_mul_overflow(product, factor, &product)) return std::nullopt;
  }
  return product;
}

inline std::optional<uint64_t> CheckedProduct(std::initializer_list<uint64_t> factors) {
  return CheckedProduct(std::span<const uint64_t>(factors.begin(), factors.size()));
}

inline std::optional<uint64_t> CheckedSum(std::initializer_list<uint64_t> terms) {
  uint64_t sum = 0;
  for (uint64_t term : terms) {
    if (__builtin_add_overflow(sum, term, &sum)) return std::nullopt;
  }
  return sum;
}

}  // namespace octet

#endif  // OCTET_BASE_CHECKED_MATH_H_
