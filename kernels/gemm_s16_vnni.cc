// The product of 16-bit integers with VPDPWSSD, which multiplies, adds pairs and accumulates in one instruction and
// which Highway 1.0 does not have: intrinsics with a target attribute. Narrow products, as attention's with its
// values, take more rows a tile, so that there are always 24 sums to hide the instruction's latency.
#include <immintrin.h>

#include <algorithm>

#include "kernels/simd_kernels.h"

#define OCTET_TARGET_VNNI __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")))

namespace octet::kernels {
namespace {

constexpr size_t kLanes = 16;
constexpr int kMaxVectors = 4;
constexpr int kMaxSums = 24;  // of 32 registers, beside four of b and one of a

// sum += a . b in pairs. Not _mm512_dpwssd_epi32: g++ 12 copies its sums before and after, which made the whole
// product take 2.5 times as long.
OCTET_TARGET_VNNI inline __m512i AddProduct(__m512i sum, __m512i a, __m512i b) {
  asm("vpdpwssd %2, %1, %0" : "+v"(sum) : "v"(a), "v"(b));
  return sum;
}

template <int kRows, int kVectors>
OCTET_TARGET_VNNI void Tile(const GemmS16& g, size_t row, size_t col, __mmask16 last) {
  const auto mask = [last](int v) { return v == kVectors - 1 ? last : __mmask16{0xFFFF}; };
  __m512i acc[kRows][kVectors];
  for (int r = 0; r < kRows; ++r) {
    for (int v = 0; v < kVectors; ++v) acc[r][v] = _mm512_setzero_si512();
  }
  // A pointer for every three rows, which an address with a scaled stride reaches: one for each are more than there
  // are registers.
  constexpr int kPointers = (kRows + 2) / 3;
  const int32_t* a[kPointers];
  for (int i = 0; i < kPointers; ++i) a[i] = g.a + (row + 3 * i) * g.lda;
  const size_t lda = g.lda;
  const int32_t* b = g.b + col;
  for (size_t k = g.depth; k > 0; --k, b += g.ldb) {
    __m512i bv[kVectors];
    for (int v = 0; v < kVectors; ++v) bv[v] = _mm512_maskz_loadu_epi32(mask(v), b + v * kLanes);
    for (int r = 0; r < kRows; ++r) {
      const __m512i av = _mm512_set1_epi32(a[r / 3][r % 3 * lda]);
      for (int v = 0; v < kVectors; ++v) acc[r][v] = AddProduct(acc[r][v], av, bv[v]);
    }
    for (int i = 0; i < kPointers; ++i) ++a[i];
  }
#pragma GCC unroll 12
  for (int r = 0; r < kRows; ++r) {
    int32_t* const c = g.c + (row + r) * g.ldc + col;
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) _mm512_mask_storeu_epi32(c + v * kLanes, mask(v), acc[r][v]);
  }
}

// The tile of `rows` rows, at most kRows.
template <int kRows, int kVectors>
OCTET_TARGET_VNNI void TileOf(size_t rows, const GemmS16& g, size_t row, size_t col, __mmask16 last) {
  if constexpr (kRows > 1) {
    if (rows < kRows) return TileOf<kRows - 1, kVectors>(rows, g, row, col, last);
  }
  Tile<kRows, kVectors>(g, row, col, last);
}

template <int kVectors>
OCTET_TARGET_VNNI void Columns(const GemmS16& g, size_t col, size_t cols) {
  constexpr int kMaxRows = std::min(kMaxSums / kVectors, 12);
  const auto last = static_cast<__mmask16>(0xFFFFu >> (kVectors * kLanes - cols));
  for (size_t row = 0, rows; row < g.rows; row += rows) {
    rows = NextTileRows(g.rows - row, kMaxRows);
    TileOf<kMaxRows, kVectors>(rows, g, row, col, last);
  }
}

OCTET_TARGET_VNNI void Multiply(const GemmS16& g) {
  for (size_t col = 0, cols; col < g.cols; col += cols) {
    cols = std::min(g.cols - col, kMaxVectors * kLanes);
    switch ((cols + kLanes - 1) / kLanes) {
      case 4:
        Columns<4>(g, col, cols);
        break;
      case 3:
        Columns<3>(g, col, cols);
        break;
      case 2:
        Columns<2>(g, col, cols);
        break;
      default:
        Columns<1>(g, col, cols);
        break;
    }
  }
}

}  // namespace

void (*VnniGemmS16())(const GemmS16&) { return Multiply; }

}  // namespace octet::kernels
