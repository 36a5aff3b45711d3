// What the cases of kernels_bench share: the level that they run at, sizes of models, inputs as the engine has them.
#ifndef OCTET_BENCH_KERNEL_CASES_H_
#define OCTET_BENCH_KERNEL_CASES_H_

#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "base/aligned_buffer.h"
#include "base/cpu_isa.h"
#include "kernels/int8_matmul.h"
#include "kernels/kernel_table.h"

namespace octet::kernels {

// Of OCTET_ISA, else the machine's highest.
inline Isa TheIsa() {
  static const Isa isa = [] {
    const auto from_environment = IsaFromEnvironment();
    if (from_environment.ok() && LimitOneDnn(*from_environment).ok()) return *from_environment;
    std::fprintf(stderr, "kernels_bench: %s\n", std::string(from_environment.status().message()).c_str());
    std::exit(2);
  }();
  return isa;
}

inline const KernelTable& Kernels() { return KernelsFor(TheIsa()); }

// Encoders whose passes tools/roofline.py adds up.
struct EncoderShape {
  int64_t hidden, intermediate, heads, head_dim;
};
inline constexpr EncoderShape kEncoders[] = {
    {256, 1024, 4, 64}, {312, 1200, 12, 26}, {384, 1536, 12, 32}, {768, 3072, 12, 64}, {1024, 4096, 16, 64}};

// Aligned as the engine's: vectors that cross cache lines take twice as long.
template <typename T>
AlignedBuffer<T> Aligned(const std::vector<T>& values) {
  AlignedBuffer<T> copy(values.size());
  std::copy(values.begin(), values.end(), copy.data());
  return copy;
}

inline void CountOps(benchmark::State& state, double ops_per_iteration) {
  state.counters["ops"] = benchmark::Counter(ops_per_iteration, benchmark::Counter::kIsIterationInvariantRate);
}

}  // namespace octet::kernels

#endif  // OCTET_BENCH_KERNEL_CASES_H_
