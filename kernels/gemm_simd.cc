// The matrix products of attention and of f32 layers in Highway, compiled once per target of simd_targets.h. Register
// tiles of up to 6 rows by 4 vectors (2 with AVX2's 16 registers). Each f32 output element is one chain of fused
// multiply-adds from k = 0 up, in every tile shape, so tiles and tails cannot change a bit; sums of 16-bit integers
// are exact.
#include "kernels/simd_targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/gemm_simd.cc"
#include "hwy/foreach_target.h"  // must come before highway.h

#include "base/aligned_buffer.h"
#include "hwy/cache_control.h"
#include "hwy/highway.h"
#include "kernels/simd_kernels.h"

HWY_BEFORE_NAMESPACE();
namespace octet::kernels {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

constexpr size_t kLanes = hn::MaxLanes(hn::ScalableTag<float>());
constexpr int kMaxVectors = kLanes >= 16 ? 4 : 2;
constexpr size_t kTileCols = kMaxVectors * kLanes;

// What a step of depth does. Elements of a, b and c are 32 bits wide.
struct F32Arithmetic {
  using D = hn::ScalableTag<float>;
  static constexpr size_t kMaxRows = 6;
  static HWY_INLINE hn::Vec<D> MulAdd(hn::Vec<D> a, hn::Vec<D> b, hn::Vec<D> sum) { return hn::MulAdd(a, b, sum); }
};

#if HWY_TARGET != HWY_SCALAR  // the fallback, which is not used, has no pairwise product
struct S16Arithmetic {
  using D = hn::ScalableTag<int32_t>;
  // The product is a register of its own before it is added: AVX2 has no room for a sixth row.
  static constexpr size_t kMaxRows = kLanes >= 16 ? 6 : 5;
  static HWY_INLINE hn::Vec<D> MulAdd(hn::Vec<D> a, hn::Vec<D> b, hn::Vec<D> sum) {
    const hn::Repartition<int16_t, D> d16;
    hn::Vec<D> unused = hn::Zero(D());  // a second sum, which x86 needs not
    return hn::ReorderWidenMulAccumulate(D(), hn::BitCast(d16, a), hn::BitCast(d16, b), sum, unused);
  }
};
#endif

// One tile of kRows x kVectors * kLanes; with kPartial the last vector has only `last_lanes` lanes.
template <class A, int kRows, int kVectors, bool kPartial, class G>
HWY_INLINE void Tile(const G& g, size_t row, size_t col, size_t last_lanes) {
  const typename A::D d;
  using V = hn::Vec<typename A::D>;
  const auto last = hn::FirstN(d, last_lanes);
  V acc[kRows][kVectors];
  for (int r = 0; r < kRows; ++r) {
    for (int v = 0; v < kVectors; ++v) acc[r][v] = hn::Zero(d);
  }
  const auto* a = g.a + row * g.lda;
  const auto* b = g.b + col;
  // Each tile brings its rows' share of the next b near, evenly.
  const bool has_next = g.next_b != nullptr;
  const size_t step_bytes = g.ldb * sizeof(*b), next_stride = has_next ? step_bytes * kRows / g.rows : 0;
  const auto* next = reinterpret_cast<const char*>(has_next ? g.next_b : b) + g.depth * step_bytes * row / g.rows;
  for (size_t k = 0; k < g.depth; ++k, b += g.ldb) {
    for (size_t i = 0; i < next_stride; i += kCacheLineBytes) hwy::Prefetch(next + i);
    next += next_stride;
    V bv[kVectors];
    for (int v = 0; v < kVectors; ++v) {
      bv[v] = kPartial && v == kVectors - 1 ? hn::MaskedLoad(last, d, b + v * kLanes) : hn::LoadU(d, b + v * kLanes);
    }
    for (int r = 0; r < kRows; ++r) {
      const V av = hn::Set(d, a[r * g.lda + k]);
      for (int v = 0; v < kVectors; ++v) acc[r][v] = A::MulAdd(av, bv[v], acc[r][v]);
    }
  }
  for (int r = 0; r < kRows; ++r) {
    auto* const c = g.c + (row + r) * g.ldc + col;
    for (int v = 0; v < kVectors; ++v) {
      if (kPartial && v == kVectors - 1 && !g.pads_c) {
        hn::BlendedStore(acc[r][v], last, d, c + v * kLanes);
      } else {
        hn::StoreU(acc[r][v], d, c + v * kLanes);
      }
    }
  }
}

template <class A, int kVectors, bool kPartial, class G>
HWY_INLINE void Column(const G& g, size_t col, size_t last_lanes) {
  for (size_t row = 0, rows; row < g.rows; row += rows) {
    rows = NextTileRows(g.rows - row, A::kMaxRows);
    switch (rows) {
      case 6:
        Tile < A, A::kMaxRows<6 ? 5 : 6, kVectors, kPartial>(g, row, col, last_lanes);
        break;
      case 5:
        Tile<A, 5, kVectors, kPartial>(g, row, col, last_lanes);
        break;
      case 4:
        Tile<A, 4, kVectors, kPartial>(g, row, col, last_lanes);
        break;
      case 3:
        Tile<A, 3, kVectors, kPartial>(g, row, col, last_lanes);
        break;
      case 2:
        Tile<A, 2, kVectors, kPartial>(g, row, col, last_lanes);
        break;
      default:
        Tile<A, 1, kVectors, kPartial>(g, row, col, last_lanes);
        break;
    }
  }
}

template <class A, int kVectors, class G>
HWY_INLINE void LastColumns(const G& g, size_t col) {
  const size_t lanes = g.cols - col - (kVectors - 1) * kLanes;
  if (lanes == kLanes) {
    Column<A, kVectors, false>(g, col, lanes);
  } else {
    Column<A, kVectors, true>(g, col, lanes);
  }
}

// Unused in the baseline target, which Highway compiles as well.
template <class A, class G>
[[maybe_unused]] void Gemm(const G& g) {
  size_t col = 0;
  for (; col + kTileCols <= g.cols; col += kTileCols) Column<A, kMaxVectors, false>(g, col, kLanes);
  switch ((g.cols - col + kLanes - 1) / kLanes) {
    case 4:
      LastColumns<A, kMaxVectors>(g, col);
      break;
    case 3:
      LastColumns<A, (kMaxVectors > 3 ? 3 : 1)>(g, col);
      break;
    case 2:
      LastColumns<A, 2>(g, col);
      break;
    case 1:
      LastColumns<A, 1>(g, col);
      break;
    default:
      break;
  }
}

[[maybe_unused]] void MultiplyF32(const GemmF32& g) { Gemm<F32Arithmetic>(g); }
#if HWY_TARGET != HWY_SCALAR
[[maybe_unused]] void MultiplyS16(const GemmS16& g) { Gemm<S16Arithmetic>(g); }
#endif

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace octet::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace octet::kernels {

size_t SimdGemmF32PanelCols(Isa isa) { return isa == Isa::kAvx2 ? N_AVX2::kTileCols : N_AVX3::kTileCols; }

void (*SimdGemmF32(Isa isa))(const GemmF32&) { return isa == Isa::kAvx2 ? N_AVX2::MultiplyF32 : N_AVX3::MultiplyF32; }

void (*SimdGemmS16(Isa isa))(const GemmS16&) { return isa == Isa::kAvx2 ? N_AVX2::MultiplyS16 : N_AVX3::MultiplyS16; }

}  // namespace octet::kernels
#endif
