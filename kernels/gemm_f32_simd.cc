// The f32 matrix product in Highway, compiled once per target of simd_targets.h. Register tiles of up to
// 6 rows by 4 vectors (2 with AVX2's 16 registers). Each output element is one chain of fused
// multiply-adds from k = 0 up, in every tile shape, so tiles and tails cannot change a bit.
#include "kernels/simd_targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/gemm_f32_simd.cc"
#include "hwy/foreach_target.h"  // must come before highway.h

#include "hwy/highway.h"
#include "kernels/simd_kernels.h"

HWY_BEFORE_NAMESPACE();
namespace octet::kernels {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

using DF = hn::ScalableTag<float>;
using VF = hn::Vec<DF>;
using MF = hn::Mask<DF>;

constexpr size_t kLanes = hn::MaxLanes(DF());
constexpr size_t kMaxRows = 6;
constexpr int kMaxVectors = kLanes >= 16 ? 4 : 2;
constexpr size_t kTileCols = kMaxVectors * kLanes;

// One tile of kRows x kVectors * kLanes; with kPartial the last vector has only the lanes of `last`.
template <int kRows, int kVectors, bool kPartial>
HWY_INLINE void Tile(const GemmF32& g, size_t row, size_t col, MF last) {
  const DF d;
  VF acc[kRows][kVectors];
  for (int r = 0; r < kRows; ++r) {
    for (int v = 0; v < kVectors; ++v) acc[r][v] = hn::Zero(d);
  }
  const float* a = g.a + row * g.lda;
  const float* b = g.b + col;
  for (size_t k = 0; k < g.depth; ++k, b += g.ldb) {
    VF bv[kVectors];
    for (int v = 0; v < kVectors; ++v) {
      bv[v] = kPartial && v == kVectors - 1 ? hn::MaskedLoad(last, d, b + v * kLanes) : hn::LoadU(d, b + v * kLanes);
    }
    for (int r = 0; r < kRows; ++r) {
      const VF av = hn::Set(d, a[r * g.lda + k]);
      for (int v = 0; v < kVectors; ++v) acc[r][v] = hn::MulAdd(av, bv[v], acc[r][v]);
    }
  }
  for (int r = 0; r < kRows; ++r) {
    float* c = g.c + (row + r) * g.ldc + col;
    for (int v = 0; v < kVectors; ++v) {
      if (kPartial && v == kVectors - 1) {
        hn::BlendedStore(acc[r][v], last, d, c + v * kLanes);
      } else {
        hn::StoreU(acc[r][v], d, c + v * kLanes);
      }
    }
  }
}

template <int kVectors, bool kPartial>
HWY_INLINE void Column(const GemmF32& g, size_t col, MF last) {
  for (size_t row = 0, rows; row < g.rows; row += rows) {
    rows = NextTileRows(g.rows - row, kMaxRows);
    switch (rows) {
      case 6:
        Tile<6, kVectors, kPartial>(g, row, col, last);
        break;
      case 5:
        Tile<5, kVectors, kPartial>(g, row, col, last);
        break;
      case 4:
        Tile<4, kVectors, kPartial>(g, row, col, last);
        break;
      case 3:
        Tile<3, kVectors, kPartial>(g, row, col, last);
        break;
      case 2:
        Tile<2, kVectors, kPartial>(g, row, col, last);
        break;
      default:
        Tile<1, kVectors, kPartial>(g, row, col, last);
        break;
    }
  }
}

template <int kVectors>
HWY_INLINE void LastColumns(const GemmF32& g, size_t col) {
  const size_t lanes = g.cols - col - (kVectors - 1) * kLanes;
  const MF last = hn::FirstN(DF(), lanes);
  if (lanes == kLanes) {
    Column<kVectors, false>(g, col, last);
  } else {
    Column<kVectors, true>(g, col, last);
  }
}

// Unused in the baseline target, which Highway compiles as well.
[[maybe_unused]] void Gemm(const GemmF32& g) {
  size_t col = 0;
  const MF all = hn::FirstN(DF(), kLanes);
  for (; col + kTileCols <= g.cols; col += kTileCols) Column<kMaxVectors, false>(g, col, all);
  switch ((g.cols - col + kLanes - 1) / kLanes) {
    case 4:
      LastColumns<kMaxVectors>(g, col);
      break;
    case 3:
      LastColumns<(kMaxVectors > 3 ? 3 : 1)>(g, col);
      break;
    case 2:
      LastColumns<2>(g, col);
      break;
    case 1:
      LastColumns<1>(g, col);
      break;
    default:
      break;
  }
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace octet::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace octet::kernels {

size_t SimdGemmF32PanelCols(Isa isa) { return isa == Isa::kAvx2 ? N_AVX2::kTileCols : N_AVX3::kTileCols; }

void (*SimdGemmF32(Isa isa))(const GemmF32&) { return isa == Isa::kAvx2 ? N_AVX2::Gemm : N_AVX3::Gemm; }

}  // namespace octet::kernels
#endif
