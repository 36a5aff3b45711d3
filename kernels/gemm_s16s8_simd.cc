// The product of 16-bit activations and 8-bit weights in Highway, compiled once per target of simd_targets.h.
// Register tiles of up to kMaxRows rows by one panel of columns.
#include "kernels/simd_targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/gemm_s16s8_simd.cc"
#include "hwy/foreach_target.h"  // must come before highway.h

#include <cstring>

#include "base/aligned_buffer.h"
#include "hwy/cache_control.h"
#include "hwy/highway.h"
#include "kernels/simd_kernels.h"

HWY_BEFORE_NAMESPACE();
namespace octet::kernels {
namespace HWY_NAMESPACE {
#if HWY_TARGET != HWY_SCALAR  // the fallback, which is not used, has no pairwise product
namespace {

namespace hn = hwy::HWY_NAMESPACE;

using D32 = hn::ScalableTag<int32_t>;
using D16 = hn::Repartition<int16_t, D32>;
using D8 = hn::Rebind<int8_t, D16>;
using V32 = hn::Vec<D32>;
using V16 = hn::Vec<D16>;

constexpr size_t kLanes = hn::MaxLanes(D32());
constexpr int kVectors = kS16PanelCols / kLanes;
// 10 sums, 2 weights, an activation and a product: 14 of AVX2's 16 registers. With a sixth row g++ 12 spills
// sums, and the product takes 1.4 times as long.
constexpr size_t kMaxRows = 5;

// Stores the first `cols` columns of a tile's row.
HWY_INLINE void StoreRow(const V32* acc, size_t cols, int32_t* c) {
  const D32 d;
  for (int v = 0; v < kVectors; ++v) {
    const size_t begin = v * kLanes;
    if (begin + kLanes <= cols) {
      hn::StoreU(acc[v], d, c + begin);
    } else if (begin < cols) {
      hn::BlendedStore(acc[v], hn::FirstN(d, cols - begin), d, c + begin);
    }
  }
}

// kRows x kS16PanelCols; only `cols` columns are stored.
template <int kRows>
HWY_INLINE void Tile(const GemmS16S8& g, size_t row, size_t col, size_t cols) {
  const D32 d32;
  const D16 d16;
  const D8 d8;
  V32 acc[kRows][kVectors];
  for (int r = 0; r < kRows; ++r) {
    for (int v = 0; v < kVectors; ++v) acc[r][v] = hn::Zero(d32);
  }
  const int16_t* a = g.a + row * g.depth;
  const int8_t* b = g.b + col * g.depth;
  V32 unused = hn::Zero(d32);  // a second sum, which x86 needs not
  // Each tile brings its rows' share of the next panel near, evenly.
  constexpr size_t kChunk = 32;  // of depth, between two shares
  const size_t share = kChunk * kS16PanelCols * kRows / g.rows;
  const int8_t* next = g.b + (col + kS16PanelCols) * g.depth + kS16PanelCols * g.depth * row / g.rows;
  for (size_t k = 0; k < g.depth; next += share) {
    for (size_t i = 0; i < share; i += kCacheLineBytes) hwy::Prefetch(next + i);
    const size_t end = k + kChunk < g.depth ? k + kChunk : g.depth;
    for (; k < end; k += 2, b += 2 * kS16PanelCols) {
      V16 bv[kVectors];
      for (int v = 0; v < kVectors; ++v) bv[v] = hn::PromoteTo(d16, hn::LoadU(d8, b + v * 2 * kLanes));
      for (int r = 0; r < kRows; ++r) {
        int32_t pair;
        std::memcpy(&pair, a + r * g.depth + k, sizeof(pair));
        const V16 av = hn::BitCast(d16, hn::Set(d32, pair));
        for (int v = 0; v < kVectors; ++v) {
          acc[r][v] = hn::ReorderWidenMulAccumulate(d32, av, bv[v], acc[r][v], unused);
        }
      }
    }
  }
  for (int r = 0; r < kRows; ++r) StoreRow(acc[r], cols, g.c + (row + r) * g.cols + col);
}

// Unused in the baseline target, which Highway compiles as well.
[[maybe_unused]] void Gemm(const GemmS16S8& g) {
  for (size_t col = 0; col < g.cols; col += kS16PanelCols) {
    const size_t cols = g.cols - col < kS16PanelCols ? g.cols - col : kS16PanelCols;
    for (size_t row = 0, rows; row < g.rows; row += rows) {
      rows = NextTileRows(g.rows - row, kMaxRows);
      switch (rows) {
        case 5:
          Tile<5>(g, row, col, cols);
          break;
        case 4:
          Tile<4>(g, row, col, cols);
          break;
        case 3:
          Tile<3>(g, row, col, cols);
          break;
        case 2:
          Tile<2>(g, row, col, cols);
          break;
        default:
          Tile<1>(g, row, col, cols);
          break;
      }
    }
  }
}

}  // namespace
#endif  // HWY_TARGET != HWY_SCALAR
}  // namespace HWY_NAMESPACE
}  // namespace octet::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace octet::kernels {

void (*SimdGemmS16S8(Isa isa))(const GemmS16S8&) { return isa == Isa::kAvx2 ? N_AVX2::Gemm : N_AVX3::Gemm; }

}  // namespace octet::kernels
#endif
