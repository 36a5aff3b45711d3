#include "kernels/int8_peak.h"

#include <immintrin.h>

#include "base/clock.h"

namespace octet::kernels {
namespace {

constexpr int kChains = 12;  // latency 5, two a cycle: ten independent sums keep both units busy
constexpr int kMaddChains = 6;  // the sum's latency is 1; more do not fit AVX2's registers with g++ 12
constexpr int kRounds = 400000;

struct PeakLoop {
  void (*run)();
  double macs_per_round;  // multiply-adds
};

__attribute__((target("avx512f,avx512vnni"))) void RunVnni() {
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

__attribute__((target("avx512f,avx512bw"))) void RunMadd512() {
  __m512i sums[kMaddChains];
  for (__m512i& sum : sums) sum = _mm512_setzero_si512();
  __m512i a = _mm512_set1_epi16(3), b = _mm512_set1_epi16(-5);
  for (int round = 0; round < kRounds; ++round) {
#pragma GCC unroll 6
    for (int i = 0; i < kMaddChains; ++i) {
      asm volatile("" : "+v"(a), "+v"(b));  // each product anew
      sums[i] = _mm512_add_epi32(sums[i], _mm512_madd_epi16(a, b));
    }
  }
  for (__m512i& sum : sums) asm volatile("" : "+v"(sum));
}

__attribute__((target("avx2"))) void RunMadd256() {
  __m256i sums[kMaddChains];
  for (__m256i& sum : sums) sum = _mm256_setzero_si256();
  __m256i a = _mm256_set1_epi16(3), b = _mm256_set1_epi16(-5);
  for (int round = 0; round < kRounds; ++round) {
#pragma GCC unroll 6
    for (int i = 0; i < kMaddChains; ++i) {
      asm volatile("" : "+x"(a), "+x"(b));  // each product anew
      sums[i] = _mm256_add_epi32(sums[i], _mm256_madd_epi16(a, b));
    }
  }
  for (__m256i& sum : sums) asm volatile("" : "+x"(sum));
}

PeakLoop LoopFor(Isa isa) {
  if (isa >= Isa::kAvx512Vnni) return {RunVnni, 64 * kChains};
  if (isa == Isa::kAvx512) return {RunMadd512, 32 * kMaddChains};
  return {RunMadd256, 16 * kMaddChains};
}

}  // namespace

std::optional<double> MeasureInt8PeakOpsPerSecond(Isa isa, ThreadTeam* team) {
  if (isa == Isa::kScalar) return std::nullopt;
  const PeakLoop loop = LoopFor(isa);
  const Clock& clock = SteadyClock::Get();
  const MonotonicTime begin = clock.Now();
  team->Run([&loop](int) { loop.run(); });
  const double seconds = absl::ToDoubleSeconds(clock.Now() - begin);
  return 2 * loop.macs_per_round * kRounds * team->num_threads() / seconds;
}

const char* Int8PeakInstructions(Isa isa) { return isa >= Isa::kAvx512Vnni ? "VPDPBUSD" : "VPMADDWD + VPADDD"; }

}  // namespace octet::kernels
