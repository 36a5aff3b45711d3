#include "kernels/int8_peak.h"

#include <immintrin.h>

#include "base/clock.h"

namespace octet::kernels {
namespace {

constexpr int kChains = 12;  // latency 5, two a cycle: ten independent sums keep both units busy
constexpr int kRounds = 400000;
// One instruction: 16 sums of 4 products.
constexpr double kOpsPerInstruction = 16 * 4 * 2;

__attribute__((target("avx512f,avx512vnni"))) void RunChains() {
  __m512i sums[kChains];
  for (__m512i& sum : sums) sum = _mm512_setzero_si512();
  __m512i a = _mm512_set1_epi8(3), b = _mm512_set1_epi8(-5);
  for (int round = 0; round < kRounds; ++round) {
    asm volatile("" : "+v"(a), "+v"(b));  // keeps the loop from being computed once
#pragma GCC unroll 12
    for (int i = 0; i < kChains; ++i) sums[i] = _mm512_dpbusd_epi32(sums[i], a, b);
  }
  for (__m512i& sum : sums) asm volatile("" : "+v"(sum));
}

}  // namespace

std::optional<double> MeasureInt8PeakOpsPerSecond(Isa isa, ThreadTeam* team) {
  if (isa < Isa::kAvx512Vnni) return std::nullopt;
  const Clock& clock = SteadyClock::Get();
  const MonotonicTime begin = clock.Now();
  team->Run([](int) { RunChains(); });
  const double seconds = absl::ToDoubleSeconds(clock.Now() - begin);
  return kOpsPerInstruction * kChains * kRounds * team->num_threads() / seconds;
}

}  // namespace octet::kernels
