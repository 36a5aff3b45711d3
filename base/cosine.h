// The cosine of the angle between two vectors: how quantization's damage to outputs is told. Pure functions.
#ifndef OCTET_BASE_COSINE_H_
#define OCTET_BASE_COSINE_H_

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>

namespace octet {

// a, b: [dim]. Sum in double.
inline double Dot(std::span<const float> a, std::span<const float> b) {
  double sum = 0;
  for (size_t c = 0; c < a.size(); ++c) sum += static_cast<double>(a[c]) * static_cast<double>(b[c]);
  return sum;
}

// a, b: [dim]. In [-1, 1]; 0 when one of them is all zeros.
inline double Cosine(std::span<const float> a, std::span<const float> b) {
  const double norm = std::sqrt(Dot(a, a)) * std::sqrt(Dot(b, b));
  return norm > 0 ? std::clamp(Dot(a, b) / norm, -1.0, 1.0) : 0;
}

}  // namespace octet

#endif  // OCTET_BASE_COSINE_H_
