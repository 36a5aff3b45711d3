// The BF16 matrix product: VDPBF16PS, which Highway 1.0 does not have, so intrinsics with a target
// attribute. Tiles as in gemm_simd.cc; each output element is one chain over pairs of k.
#include <immintrin.h>

#include <cstring>

#include "kernels/simd_kernels.h"

#define OCTET_TARGET_BF16 __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512bf16")))

namespace octet::kernels {
namespace {

constexpr size_t kLanes = 16;
constexpr int kVectors = kBf16PanelCols / kLanes;

template <int kRows>
OCTET_TARGET_BF16 void Tile(const GemmBf16& g, size_t row) {
  __m512 acc[kRows][kVectors];
  for (int r = 0; r < kRows; ++r) {
    for (int v = 0; v < kVectors; ++v) acc[r][v] = _mm512_setzero_ps();
  }
  const uint16_t* b = g.b;
  for (size_t k = 0; k < g.depth; k += 2, b += 2 * kBf16PanelCols) {
    __m512i bv[kVectors];
    for (int v = 0; v < kVectors; ++v) bv[v] = _mm512_loadu_si512(b + v * 2 * kLanes);
    for (int r = 0; r < kRows; ++r) {
      int32_t pair;
      std::memcpy(&pair, g.a + (row + r) * g.lda + k, sizeof(pair));
      const __m512bh av = reinterpret_cast<__m512bh>(_mm512_set1_epi32(pair));
      for (int v = 0; v < kVectors; ++v) {
        acc[r][v] = _mm512_dpbf16_ps(acc[r][v], av, reinterpret_cast<__m512bh>(bv[v]));
      }
    }
  }
  // Unrolled, so that no sum is ever indexed: otherwise g++ 12 keeps a copy of all in memory, up to date in every step.
#pragma GCC unroll 6
  for (int r = 0; r < kRows; ++r) {
    float* c = g.c + (row + r) * g.ldc;
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) {
      const size_t begin = v * kLanes;
      const size_t lanes = g.cols <= begin ? 0 : g.cols - begin < kLanes ? g.cols - begin : kLanes;
      _mm512_mask_storeu_ps(c + begin, static_cast<__mmask16>((1u << lanes) - 1), acc[r][v]);
    }
  }
}

OCTET_TARGET_BF16 void Gemm(const GemmBf16& g) {
  size_t row = 0;
  for (; row + 6 <= g.rows; row += 6) Tile<6>(g, row);
  switch (g.rows - row) {
    case 5:
      Tile<5>(g, row);
      break;
    case 4:
      Tile<4>(g, row);
      break;
    case 3:
      Tile<3>(g, row);
      break;
    case 2:
      Tile<2>(g, row);
      break;
    case 1:
      Tile<1>(g, row);
      break;
    default:
      break;
  }
}

OCTET_TARGET_BF16 void F32ToBf16Row(const float* x, size_t n, uint16_t* y) {
  for (size_t c = 0; c < n; c += kLanes) {
    const size_t lanes = n - c < kLanes ? n - c : kLanes;
    const __mmask16 mask = static_cast<__mmask16>((1u << lanes) - 1);
    const __m256bh half = _mm512_cvtneps_pbh(_mm512_maskz_loadu_ps(mask, x + c));
    _mm256_mask_storeu_epi16(y + c, mask, reinterpret_cast<__m256i>(half));
  }
}

}  // namespace

void FillGemmBf16(KernelTable* table) {
  table->gemm_bf16 = Gemm;
  table->f32_to_bf16_row = F32ToBf16Row;
}

}  // namespace octet::kernels
