// What one 512-bit instruction takes when nothing but registers is involved, and what the arithmetic of a softmax of integer
// scores takes so: what the kernels' own times are held against (docs/performance.md). One thread.
//
//   make bench-kernels ARGS="--benchmark_filter=Instruction"
#include <benchmark/benchmark.h>

#include "base/cpu_isa.h"

namespace octet::kernels {
namespace {

using benchmark::State;

constexpr int kRounds = 1000;  // of an iteration

// One instruction, `form` of `op`, into eighteen registers, none of which waits for another. Sources are zmm30 and zmm31, or zmm30
// alone.
#define OCTET_EIGHTEEN(form, op)                                                                                    \
  form(op, 0) form(op, 1) form(op, 2) form(op, 3) form(op, 4) form(op, 5) form(op, 6) form(op, 7) form(op, 8) form( \
      op, 9) form(op, 10) form(op, 11) form(op, 12) form(op, 13) form(op, 14) form(op, 15) form(op, 16) form(op, 17)
#define OCTET_OF_TWO(op, i) op " %%zmm31, %%zmm30, %%zmm" #i "\n"
#define OCTET_TO_HALF(op, i) op " %%zmm30, %%ymm" #i "\n"
#define OCTET_TO_QUARTER(op, i) op " %%zmm30, %%xmm" #i "\n"
#define OCTET_ZERO(op, i) op " %%zmm" #i ", %%zmm" #i ", %%zmm" #i "\n"
#define OCTET_CLOBBERED                                                                                               \
  "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", \
      "xmm14", "xmm15", "xmm16", "xmm17", "xmm18", "xmm22", "xmm30", "xmm31"
constexpr int kResults = 18;

// items_per_second: instructions, or groups of 32 scores. `run` has kRounds rounds of `items`.
void Instruction(State& state, Isa least, void (*run)(), int items) {
  if (DetectIsa() < least) return state.SkipWithError("the machine has no such instruction");
  for (auto _ : state) run();
  state.SetItemsProcessed(state.iterations() * kRounds * items);
}

// A case. From zeros: what registers hold may be denormal floats, which take hundreds of cycles.
#define OCTET_INSTRUCTION(op, features, least, form)                                                      \
  __attribute__((target("avx512f," features))) void Run_##op() {                                          \
    asm volatile(OCTET_EIGHTEEN(OCTET_ZERO, "vpxord") OCTET_ZERO("vpxord", 30) OCTET_ZERO("vpxord", 31):: \
                     : OCTET_CLOBBERED);                                                                  \
    for (int i = 0; i < kRounds; ++i) asm volatile(OCTET_EIGHTEEN(form, #op)::: OCTET_CLOBBERED);         \
  }                                                                                                       \
  BENCHMARK_CAPTURE(Instruction, op, least, Run_##op, kResults)

OCTET_INSTRUCTION(vpdpbusd, "avx512vnni", Isa::kAvx512Vnni, OCTET_OF_TWO);
OCTET_INSTRUCTION(vpdpwssd, "avx512vnni", Isa::kAvx512Vnni, OCTET_OF_TWO);
OCTET_INSTRUCTION(vdpbf16ps, "avx512bf16", Isa::kAvx512Bf16, OCTET_OF_TWO);
OCTET_INSTRUCTION(vfmadd231ps, "avx512bw", Isa::kAvx512, OCTET_OF_TWO);
OCTET_INSTRUCTION(vscalefps, "avx512bw", Isa::kAvx512, OCTET_OF_TWO);
OCTET_INSTRUCTION(vpmulld, "avx512bw", Isa::kAvx512, OCTET_OF_TWO);
OCTET_INSTRUCTION(vpmulhuw, "avx512bw", Isa::kAvx512, OCTET_OF_TWO);
OCTET_INSTRUCTION(vpsrlvw, "avx512bw", Isa::kAvx512, OCTET_OF_TWO);
OCTET_INSTRUCTION(vpmaxsw, "avx512bw", Isa::kAvx512, OCTET_OF_TWO);
OCTET_INSTRUCTION(vpermt2w, "avx512bw", Isa::kAvx512, OCTET_OF_TWO);
OCTET_INSTRUCTION(vpmovsdw, "avx512bw", Isa::kAvx512, OCTET_TO_HALF);
OCTET_INSTRUCTION(vpmovusdb, "avx512bw", Isa::kAvx512, OCTET_TO_QUARTER);

// The arithmetic of KernelTable::softmax_s16 for 32 scores, as it is compiled for AVX-512, in zmm a, b and c; without loads, stores and
// what a row has once: narrowing, the largest, the weight, its sum, its value's part, the last narrowing.
#define OCTET_OP(op, second, first, to) op " %%zmm" #second ", %%zmm" #first ", %%zmm" #to "\n"
// clang-format off
#define OCTET_SCORES(a, b, c)       \
  OCTET_OP("vpsllvd", 20, 31, a)    \
  OCTET_OP("vpsllvd", 20, 31, b)    \
  OCTET_OP("vpermt2w", b, 19, a)    \
  OCTET_OP("vpmulhrsw", 21, a, a)   \
  OCTET_OP("vpmaxsw", a, 18, 18)    \
  OCTET_OP("vpsubw", 17, 30, b)     \
  OCTET_OP("vpmulhuw", 29, b, b)    \
  OCTET_OP("vpmullw", 28, b, c)     \
  OCTET_OP("vpmulhuw", 28, b, b)    \
  OCTET_OP("vpmulhuw", 27, c, a)    \
  OCTET_OP("vpsubw", a, 26, a)      \
  OCTET_OP("vpmulhuw", c, a, a)     \
  OCTET_OP("vpsubw", a, 25, a)      \
  OCTET_OP("vpmulhuw", c, a, a)     \
  OCTET_OP("vpsubw", a, 24, a)      \
  OCTET_OP("vpsrlvw", b, a, a)      \
  OCTET_OP("vpavgw", 31, a, a)      \
  OCTET_OP("vpmaddwd", 23, a, b)    \
  OCTET_OP("vpaddd", b, 22, 22)     \
  OCTET_OP("vpmulhrsw", 21, a, a)   \
  OCTET_OP("vpmulhrsw", 21, a, a)
// clang-format on
constexpr int kScoreGroups = 4;

__attribute__((target("avx512f,avx512bw"))) void SoftmaxScores() {
  for (int i = 0; i < kRounds; ++i) {
    asm volatile(OCTET_SCORES(0, 1, 2) OCTET_SCORES(3, 4, 5) OCTET_SCORES(6, 7, 8) OCTET_SCORES(9, 10, 11)::
                     : OCTET_CLOBBERED);
  }
}

BENCHMARK_CAPTURE(Instruction, softmax_of_32_scores, Isa::kAvx512, SoftmaxScores, kScoreGroups);

}  // namespace
}  // namespace octet::kernels
