// What one 512-bit instruction takes when nothing but registers is involved, and what the arithmetic of kernels takes so: what their own
// times are held against (docs/performance.md). One thread.
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
#define OCTET_ALL_REGISTERS(form, op)                                                                                  \
  OCTET_EIGHTEEN(form, op)                                                                                             \
  form(op, 18) form(op, 19) form(op, 20) form(op, 21) form(op, 22) form(op, 23) form(op, 24) form(op, 25) form(op, 26) \
      form(op, 27) form(op, 28) form(op, 29) form(op, 30) form(op, 31)
#define OCTET_CLOBBERED                                                                                               \
  "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", \
      "xmm14", "xmm15", "xmm16", "xmm17", "xmm18", "xmm19", "xmm20", "xmm21", "xmm22", "xmm23", "xmm24", "xmm25",     \
      "xmm26", "xmm27", "xmm28", "xmm29", "xmm30", "xmm31"
constexpr int kResults = 18;

// items_per_second: instructions, or what a group of them works on. `run` has kRounds rounds of `items`.
void Instruction(State& state, Isa least, void (*run)(), int items) {
  if (DetectIsa() < least) return state.SkipWithError("the machine has no such instruction");
  for (auto _ : state) run();
  state.SetItemsProcessed(state.iterations() * kRounds * items);
}

// A case: `items` in the instructions of `text`. From zeros: what registers hold may be denormal floats, which take hundreds of cycles.
#define OCTET_CASE(name, features, least, items, text)                          \
  __attribute__((target("avx512f," features))) void Run_##name() {              \
    asm volatile(OCTET_ALL_REGISTERS(OCTET_ZERO, "vpxord")::: OCTET_CLOBBERED); \
    for (int i = 0; i < kRounds; ++i) asm volatile(text::: OCTET_CLOBBERED);    \
  }                                                                             \
  BENCHMARK_CAPTURE(Instruction, name, least, Run_##name, items)
#define OCTET_INSTRUCTION(op, features, least, form) \
  OCTET_CASE(op, features, least, kResults, OCTET_EIGHTEEN(form, #op))

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

// The arithmetic of kernels as it is compiled for AVX-512, without loads, stores and what a row has once. Some groups at a time in
// registers of their own, so that they wait for each other as little as the kernels' do.
#define OCTET_OP(op, second, first, to) op " %%zmm" #second ", %%zmm" #first ", %%zmm" #to "\n"
#define OCTET_OP1(op, from, to) op " %%zmm" #from ", %%zmm" #to "\n"
// clang-format off

// KernelTable::softmax_s16, 32 scores in a, b and c: narrowing, the largest, the weight, its sum, its value's part, the last narrowing.
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

// KernelTable::quantize_rows_u8, 64 values in a to d: the largest and, as unsigned integers, the lowest; rounding, narrowing.
#define OCTET_QUANTIZE_RANGE(a, b)  \
  OCTET_OP("vpmaxsd", a, 18, 18)    \
  OCTET_OP("vpmaxud", a, 19, 19)    \
  OCTET_OP("vpmaxsd", b, 20, 20)    \
  OCTET_OP("vpmaxud", b, 21, 21)
#define OCTET_ROUND(a)              \
  OCTET_OP("vfmadd213ps", 31, 30, a) \
  OCTET_OP("vpaddd", 29, a, a)
#define OCTET_QUANTIZED(a, b, c, d) \
  OCTET_QUANTIZE_RANGE(a, b)        \
  OCTET_QUANTIZE_RANGE(c, d)        \
  OCTET_ROUND(a) OCTET_ROUND(b) OCTET_ROUND(c) OCTET_ROUND(d) \
  OCTET_OP("vpackssdw", b, a, a)    \
  OCTET_OP("vpackssdw", d, c, c)    \
  OCTET_OP("vpackuswb", c, a, a)    \
  OCTET_OP("vpermd", a, 28, a)

// KernelTable::layer_norm_rows, 16 values in a, their sums in b and c: residual, mean, variance, normalizing.
#define OCTET_NORMALIZED(a, b, c)   \
  OCTET_OP("vaddps", 31, a, a)      \
  OCTET_OP("vaddps", a, b, b)       \
  OCTET_OP("vsubps", 30, a, a)      \
  OCTET_OP("vfmadd231ps", a, a, c)  \
  OCTET_OP("vsubps", 30, a, a)      \
  OCTET_OP("vmulps", 29, a, a)      \
  OCTET_OP("vfmadd213ps", 28, 27, a)

// KernelTable::gelu_erf_short_row as products of VNNI have it, 16 values in a; b and c beside.
#define OCTET_GELU(a, b, c)         \
  "vrangeps $2, %%zmm31, %%zmm" #a ", %%zmm" #b "\n" \
  OCTET_OP("vmulps", b, b, c)       \
  OCTET_OP("vfmadd213ps", 30, c, b) \
  OCTET_OP("vfmadd213ps", 29, c, b) \
  OCTET_OP("vfmadd213ps", 28, c, b) \
  OCTET_OP("vfmadd213ps", 27, c, b) \
  OCTET_OP("vfmadd213ps", 26, c, b) \
  OCTET_OP("vfmadd213ps", 25, c, b) \
  OCTET_OP("vfmadd213ps", 24, a, b) \
  OCTET_OP("vmulps", b, a, c)

// What a product of VNNI does with 16 sums in a beside adding to them: the start, scales and bias. b: the scale.
#define OCTET_FINISHED(a, b)        \
  OCTET_OP("vpmaddwd", 31, 30, a)   \
  OCTET_OP1("vcvtdq2ps", a, a)      \
  OCTET_OP("vmulps", 29, 28, b)     \
  OCTET_OP("vfmadd213ps", 27, b, a)

// KernelTable::quantize_heads_*: the largest of 32 values in a and b; that of four heads, in a to d, from their lanes; rounding and
// narrowing of 32 values to 8 bits and to 16.
#define OCTET_LARGEST(a, b)         \
  OCTET_OP("vpandd", 31, a, a)      \
  OCTET_OP("vpandd", 31, b, b)      \
  OCTET_OP("vpmaxsd", a, b, a)
#define OCTET_FOLDED(op, a, b, to)  \
  OCTET_OP(op, b, a, to)            \
  OCTET_OP("vpmaxsd", to, b, b)
#define OCTET_FOLDED_HEADS(a, b, c, d, e, f) \
  OCTET_OP("vpunpckldq", b, a, e)   \
  OCTET_FOLDED("vpunpckhdq", a, b, f) \
  OCTET_OP("vpunpckldq", d, c, e)   \
  OCTET_FOLDED("vpunpckhdq", c, d, f) \
  OCTET_OP("vpunpcklqdq", d, b, e)  \
  OCTET_FOLDED("vpunpckhqdq", b, d, f) \
  "vshufi64x2 $78, %%zmm" #d ", %%zmm" #d ", %%zmm" #e "\n" \
  OCTET_OP("vpmaxsd", e, d, d)      \
  "vshufi64x2 $177, %%zmm" #d ", %%zmm" #d ", %%zmm" #e "\n" \
  OCTET_OP("vpmaxsd", e, d, d)
#define OCTET_TO_8_BITS(a, b)       \
  OCTET_ROUND(a) OCTET_ROUND(b)     \
  OCTET_OP("vpackssdw", b, a, a)    \
  OCTET_OP("vpacksswb", a, a, a)    \
  OCTET_OP("vpermd", a, 28, a)
#define OCTET_TO_16_BITS(a, b)      \
  OCTET_OP("vfmadd213ps", 31, 30, a) \
  OCTET_OP("vfmadd213ps", 31, 30, b) \
  OCTET_OP("vpermt2w", b, 28, a)
#define OCTET_EIGHT_OF_TWO(group)   \
  group(0, 1) group(2, 3) group(4, 5) group(6, 7) group(8, 9) group(10, 11) group(12, 13) group(14, 15)
// clang-format on

OCTET_CASE(softmax_of_32_scores, "avx512bw", Isa::kAvx512, 4,
           OCTET_SCORES(0, 1, 2) OCTET_SCORES(3, 4, 5) OCTET_SCORES(6, 7, 8) OCTET_SCORES(9, 10, 11));
OCTET_CASE(quantize_of_64_values, "avx512bw", Isa::kAvx512, 4,
           OCTET_QUANTIZED(0, 1, 2, 3) OCTET_QUANTIZED(4, 5, 6, 7) OCTET_QUANTIZED(8, 9, 10, 11)
               OCTET_QUANTIZED(12, 13, 14, 15));
OCTET_CASE(layer_norm_of_16_values, "avx512bw", Isa::kAvx512, 8,
           OCTET_NORMALIZED(0, 1, 2) OCTET_NORMALIZED(3, 4, 5) OCTET_NORMALIZED(6, 7, 8) OCTET_NORMALIZED(9, 10, 11)
               OCTET_NORMALIZED(12, 13, 14) OCTET_NORMALIZED(15, 16, 17) OCTET_NORMALIZED(18, 19, 20)
                   OCTET_NORMALIZED(21, 22, 23));
OCTET_CASE(gelu_of_16_values, "avx512dq", Isa::kAvx512, 6,
           OCTET_GELU(0, 1, 2) OCTET_GELU(3, 4, 5) OCTET_GELU(6, 7, 8) OCTET_GELU(9, 10, 11) OCTET_GELU(12, 13, 14)
               OCTET_GELU(15, 16, 17));
OCTET_CASE(finish_of_16_sums, "avx512bw", Isa::kAvx512, 8, OCTET_EIGHT_OF_TWO(OCTET_FINISHED));
OCTET_CASE(largest_of_32_values, "avx512bw", Isa::kAvx512, 8, OCTET_EIGHT_OF_TWO(OCTET_LARGEST));
OCTET_CASE(fold_of_4_heads, "avx512bw", Isa::kAvx512, 4,
           OCTET_FOLDED_HEADS(0, 1, 2, 3, 4, 5) OCTET_FOLDED_HEADS(6, 7, 8, 9, 10, 11)
               OCTET_FOLDED_HEADS(12, 13, 14, 15, 16, 17) OCTET_FOLDED_HEADS(18, 19, 20, 21, 22, 23));
OCTET_CASE(round_32_to_8_bits, "avx512bw", Isa::kAvx512, 8, OCTET_EIGHT_OF_TWO(OCTET_TO_8_BITS));
OCTET_CASE(round_32_to_16_bits, "avx512bw", Isa::kAvx512, 8, OCTET_EIGHT_OF_TWO(OCTET_TO_16_BITS));

}  // namespace
}  // namespace octet::kernels
