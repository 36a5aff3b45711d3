#include "kernels/int8_peak.h"

#include <atomic>
#include <cstdint>

#include "base/clock.h"

namespace octet::kernels {
namespace {

constexpr int kChains = 12;  // latency 5, two a cycle: ten independent sums keep both units busy
constexpr int kMaddChains = 10;
constexpr int kRounds = 20000;  // between two looks at the clock

struct PeakLoop {
  void (*run)();
  double macs_per_round;  // multiply-adds
};

// The loops are written in assembly: g++ 12 copies the sums of intrinsics in every round, or keeps them in memory. What the
// registers hold does not matter.
#define OCTET_DOT(i) "vpdpbusd %%zmm31, %%zmm30, %%zmm" #i "\n"

__attribute__((target("avx512f,avx512vnni"))) void RunVnni() {
  for (int round = 0; round < kRounds; ++round) {
    asm volatile(OCTET_DOT(0) OCTET_DOT(1) OCTET_DOT(2) OCTET_DOT(3) OCTET_DOT(4) OCTET_DOT(5) OCTET_DOT(6) OCTET_DOT(7)
                     OCTET_DOT(8) OCTET_DOT(9) OCTET_DOT(10) OCTET_DOT(11)::
                         : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10",
                           "xmm11");
  }
}

// Ten products and sums in registers of one width, "y" or "z".
#define OCTET_MADD(w, i) \
  "vpmaddwd %%" w "mm14, %%" w "mm15, %%" w "mm13\n vpaddd %%" w "mm13, %%" w "mm" #i ", %%" w "mm" #i "\n"
#define OCTET_MADD_ROUND(w)                                                                                          \
  asm volatile(OCTET_MADD(w, 0) OCTET_MADD(w, 1) OCTET_MADD(w, 2) OCTET_MADD(w, 3) OCTET_MADD(w, 4) OCTET_MADD(w, 5) \
                   OCTET_MADD(w, 6) OCTET_MADD(w, 7) OCTET_MADD(w, 8) OCTET_MADD(w, 9)::                             \
                       : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm13")

__attribute__((target("avx512f,avx512bw"))) void RunMadd512() {
  for (int round = 0; round < kRounds; ++round) OCTET_MADD_ROUND("z");
}

__attribute__((target("avx2"))) void RunMadd256() {
  for (int round = 0; round < kRounds; ++round) OCTET_MADD_ROUND("y");
}

PeakLoop LoopFor(Isa isa) {
  if (isa >= Isa::kAvx512Vnni) return {RunVnni, 64 * kChains};
  if (isa == Isa::kAvx512) return {RunMadd512, 32 * kMaddChains};
  return {RunMadd256, 16 * kMaddChains};
}

}  // namespace

std::optional<double> MeasureInt8PeakOpsPerSecond(Isa isa, absl::Duration run, ThreadTeam* team) {
  if (isa == Isa::kScalar) return std::nullopt;
  const PeakLoop loop = LoopFor(isa);
  const Clock& clock = SteadyClock::Get();
  std::atomic<int64_t> loops = 0;
  const MonotonicTime begin = clock.Now();
  team->Run([&](int) {
    for (; clock.Now() - begin < run || loops == 0; ++loops) loop.run();
  });
  const double seconds = absl::ToDoubleSeconds(clock.Now() - begin);
  return 2 * loop.macs_per_round * kRounds * static_cast<double>(loops) / seconds;
}

const char* Int8PeakInstructions(Isa isa) {
  if (isa == Isa::kScalar) return "";
  return isa >= Isa::kAvx512Vnni ? "VPDPBUSD" : "VPMADDWD + VPADDD";
}

}  // namespace octet::kernels
