// Random inputs of kernel tests, from fixed seeds.
#ifndef OCTET_TESTS_KERNELS_TEST_MATRIX_H_
#define OCTET_TESTS_KERNELS_TEST_MATRIX_H_

#include <cstdint>
#include <random>
#include <vector>

namespace octet::kernels {

inline std::vector<float> RandomFloats(size_t size, uint32_t seed, float deviation = 1.0f) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0.0f, deviation);
  std::vector<float> values(size);
  for (float& v : values) v = normal(random);
  return values;
}

template <typename T>
std::vector<T> RandomInts(size_t size, uint32_t seed, int min, int max) {
  std::mt19937 random(seed);
  std::uniform_int_distribution<int> uniform(min, max);
  std::vector<T> values(size);
  for (T& v : values) v = static_cast<T>(uniform(random));
  return values;
}

}  // namespace octet::kernels

#endif  // OCTET_TESTS_KERNELS_TEST_MATRIX_H_
