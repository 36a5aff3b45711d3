// Whole numbers rounded up.
#ifndef OCTET_BASE_ROUNDING_H_
#define OCTET_BASE_ROUNDING_H_

#include <cstddef>

namespace octet {

constexpr size_t DivideUp(size_t value, size_t unit) { return (value + unit - 1) / unit; }
// `value` or the next multiple of `unit` above it.
constexpr size_t RoundUp(size_t value, size_t unit) { return DivideUp(value, unit) * unit; }

}  // namespace octet

#endif  // OCTET_BASE_ROUNDING_H_
