// Products of integers with VPDPWSSD and VPDPBUSD, which multiply, add pairs of 16 or quads of 8 bits and accumulate in
// one instruction and which Highway 1.0 does not have: intrinsics with a target attribute. Narrow products, as attention's
// with its values, take more rows a tile, so that there are always 24 sums to hide the instruction's latency.
#include <immintrin.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/aligned_buffer.h"
#include "kernels/gelu_short.h"
#include "kernels/int8_matmul.h"
#include "kernels/simd_kernels.h"

#define OCTET_TARGET_VNNI __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")))
#define OCTET_INLINE_VNNI OCTET_TARGET_VNNI __attribute__((always_inline))

namespace octet::kernels {
namespace {

constexpr size_t kLanes = 16;
constexpr int kMaxVectors = 4;
constexpr int kMaxSums = 24;  // of 32 registers, beside four of b and one of a
constexpr int kMaxRows = 12;

// What an element of four bytes holds, of a and of b.
enum class Factors { kS16Pairs, kU8S8Quads };

// sum += a . b. Not the intrinsics: g++ 12 copies their sums before and after, which made the whole product take 2.5
// times as long.
template <Factors kFactors>
OCTET_INLINE_VNNI inline __m512i AddProduct(__m512i sum, __m512i a, __m512i b) {
  if constexpr (kFactors == Factors::kS16Pairs) {
    asm volatile("vpdpwssd %2, %1, %0" : "+v"(sum) : "v"(a), "v"(b));
  } else {
    asm volatile("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(a), "v"(b));
  }
  return sum;
}

// Not _mm512_cvtepi32_ps: g++ 12 takes its unused operand for a value that was never set, and warns.
OCTET_INLINE_VNNI inline __m512 ToF32(__m512i x) {
  return __builtin_convertvector(reinterpret_cast<__v16si>(x), __v16sf);
}

// As KernelTable::gelu_erf_short_row, to the bit.
OCTET_INLINE_VNNI inline __m512 GeluErfShort(__m512 x) {
  constexpr int kSmallerOfAbsolutesWithFirstSign = 2;
  const __m512 t = _mm512_range_ps(x, _mm512_set1_ps(kShortGeluBound), kSmallerOfAbsolutesWithFirstSign);
  const __m512 square = _mm512_mul_ps(t, t);
  __m512 p = _mm512_set1_ps(kShortGeluCoefficients[0]);
  for (size_t i = 1; i < std::size(kShortGeluCoefficients); ++i) {
    p = _mm512_fmadd_ps(p, square, _mm512_set1_ps(kShortGeluCoefficients[i]));
  }
  return _mm512_mul_ps(x, _mm512_fmadd_ps(t, p, _mm512_set1_ps(0.5f)));
}

// body(i) for i from 0 to kCount - 1, unrolled before anything else happens: sums in an array that a loop indexes would be
// stored in memory as well.
template <int kCount, typename Body>
OCTET_INLINE_VNNI inline void ForEachIndex(const Body& body) {
  [&]<int... kIdx>(std::integer_sequence<int, kIdx...>) OCTET_INLINE_VNNI { (body(kIdx), ...); }
  (std::make_integer_sequence<int, kCount>());
}

// The sums of kRows rows by kVectors vectors of columns.
template <Factors kFactors, int kRows, int kVectors>
class Tile {
 public:
  // start(r, v): a sum's first value.
  template <typename Start>
  OCTET_INLINE_VNNI inline explicit Tile(const Start& start) {
    ForEachIndex<kSums>([&](int i) OCTET_INLINE_VNNI {
      sums_[i] = start(i / kVectors, i % kVectors);
      asm("" : "+v"(sums_[i]));  // else sums that start alike share a register, and are copied in every round
    });
  }

  // Elements of four bytes. a: [kRows, lda], b: [depth, ldb]. load(b): kVectors vectors from there. before_round(): is called
  // before every kSteps steps of depth.
  template <size_t kSteps, typename LoadB, typename BeforeRound>
  OCTET_INLINE_VNNI inline void Add(const int32_t* a, size_t lda, const int32_t* b, size_t ldb, size_t depth,
                                    const LoadB& load, const BeforeRound& before_round) {
    // A pointer for every three rows, which an address with a scaled stride reaches: one for each are more than there
    // are registers.
    const int32_t* rows[kPointers];
    ForEachIndex<kPointers>([&](int i) OCTET_INLINE_VNNI { rows[i] = a + 3 * i * lda; });
    for (; depth >= kSteps; depth -= kSteps) {
      before_round();
      ForEachIndex<kSteps>([&](int step) OCTET_INLINE_VNNI { AddStep(rows, lda, step, b + step * ldb, load); });
      b += kSteps * ldb;
      ForEachIndex<kPointers>([&](int i) OCTET_INLINE_VNNI { rows[i] += kSteps; });
    }
    for (size_t step = 0; step < depth; ++step, b += ldb) AddStep(rows, lda, step, b, load);
  }

  // store(r, v, sum)
  template <typename Store>
  OCTET_INLINE_VNNI inline void ForEach(const Store& store) const {
    ForEachIndex<kSums>([&](int i)
                            OCTET_INLINE_VNNI { store(static_cast<size_t>(i / kVectors), i % kVectors, sums_[i]); });
  }

 private:
  static constexpr int kSums = kRows * kVectors, kPointers = (kRows + 2) / 3;

  // k: of the elements at `rows`.
  template <typename LoadB>
  OCTET_INLINE_VNNI inline void AddStep(const int32_t* const (&rows)[kPointers], size_t lda, size_t k, const int32_t* b,
                                        const LoadB& load) {
    __m512i bv[kVectors];
    load(b, bv);
    ForEachIndex<kRows>([&](int r) OCTET_INLINE_VNNI {
      __m512i av;
      asm volatile("vpbroadcastd %1, %0" : "=v"(av) : "m"(rows[r / 3][r % 3 * lda + k]));
      ForEachIndex<kVectors>([&](int v) OCTET_INLINE_VNNI {
        __m512i& sum = sums_[r * kVectors + v];
        sum = AddProduct<kFactors>(sum, av, bv[v]);
      });
    });
    // Until here: else g++ 12 puts the last sums into b's registers, and copies them back.
    ForEachIndex<kVectors>([&](int v) OCTET_INLINE_VNNI { asm volatile("" : : "v"(bv[v])); });
  }

  __m512i sums_[kSums];
};

// product.Run<rows>(row) for `rows` rows, at most kRows.
template <int kRows, typename Product>
OCTET_TARGET_VNNI void RunRows(const Product& product, size_t row, size_t rows) {
  if constexpr (kRows > 1) {
    if (rows < kRows) return RunRows<kRows - 1>(product, row, rows);
  }
  product.template Run<kRows>(row);
}

template <int kMaxTileRows, typename Product>
OCTET_TARGET_VNNI void ForTiles(const Product& product, size_t num_rows) {
  for (size_t row = 0, rows; row < num_rows; row += rows) {
    rows = NextTileRows(num_rows - row, kMaxTileRows);
    RunRows<kMaxTileRows>(product, row, rows);
  }
}

// How the vectors of a tile's columns are read and written: all of them whole, which costs no instruction beside, or the last in
// part, or only read in part.
struct WholeVectors {
  OCTET_TARGET_VNNI __m512i Load(const int32_t* p, bool) const { return _mm512_loadu_si512(p); }
  OCTET_TARGET_VNNI void Store(int32_t* p, bool, __m512i x) const { _mm512_storeu_si512(p, x); }
};

struct LastVectorInPart {
  __mmask16 last;

  OCTET_TARGET_VNNI __m512i Load(const int32_t* p, bool is_last) const {
    return is_last ? _mm512_maskz_loadu_epi32(last, p) : _mm512_loadu_si512(p);
  }
  OCTET_TARGET_VNNI void Store(int32_t* p, bool is_last, __m512i x) const {
    return is_last ? _mm512_mask_storeu_epi32(p, last, x) : _mm512_storeu_si512(p, x);
  }
};

struct LastVectorPadded : LastVectorInPart {
  OCTET_TARGET_VNNI void Store(int32_t* p, bool, __m512i x) const { _mm512_storeu_si512(p, x); }
};

// Columns [col, col + kVectors * kLanes) of a product. What tiles need is copied: after a store the compiler would read it
// again.
template <Factors kFactors, int kVectors, typename Vectors>
class Columns {
 public:
  Columns(const GemmArgs<int32_t>& g, const int32_t* less, size_t col, Vectors vectors)
      : a_(g.a),
        b_(g.b + col),
        less_(less == nullptr ? nullptr : less + col),
        c_(g.c + col),
        lda_(g.lda),
        ldb_(g.ldb),
        ldc_(g.ldc),
        depth_(g.depth),
        vectors_(vectors) {}

  template <int kRows>
  OCTET_TARGET_VNNI void Run(size_t row) const {
    const Vectors vectors = vectors_;
    __m512i first[kVectors];
    for (int v = 0; v < kVectors; ++v) {
      first[v] = _mm512_setzero_si512();
      if (less_ != nullptr) first[v] = _mm512_sub_epi32(first[v], vectors.Load(less_ + v * kLanes, v == kVectors - 1));
    }
    Tile<kFactors, kRows, kVectors> tile([&](int, int v) OCTET_TARGET_VNNI { return first[v]; });
    tile.template Add<1>(
        a_ + row * lda_, lda_, b_, ldb_, depth_,
        [vectors](const int32_t* b, __m512i* bv) OCTET_TARGET_VNNI {
          for (int v = 0; v < kVectors; ++v) bv[v] = vectors.Load(b + v * kLanes, v == kVectors - 1);
        },
        []() OCTET_TARGET_VNNI {});
    int32_t* const c = c_ + row * ldc_;
    const size_t ldc = ldc_;
    tile.ForEach([=](size_t r, int v, __m512i sum)
                     OCTET_TARGET_VNNI { vectors.Store(c + r * ldc + v * kLanes, v == kVectors - 1, sum); });
  }

 private:
  const int32_t *a_, *b_, *less_;
  int32_t* c_;
  size_t lda_, ldb_, ldc_, depth_;
  Vectors vectors_;
};

template <Factors kFactors, int kVectors>
OCTET_TARGET_VNNI void MultiplyColumns(const GemmArgs<int32_t>& g, const int32_t* less, size_t col, size_t cols) {
  constexpr int kRows = std::min(kMaxSums / kVectors, kMaxRows);
  if (cols == kVectors * kLanes) {
    ForTiles<kRows>(Columns<kFactors, kVectors, WholeVectors>(g, less, col, {}), g.rows);
  } else {
    const LastVectorInPart in_part{static_cast<__mmask16>(0xFFFFu >> (kVectors * kLanes - cols))};
    if (g.pads_c) {
      ForTiles<kRows>(Columns<kFactors, kVectors, LastVectorPadded>(g, less, col, {in_part}), g.rows);
    } else {
      ForTiles<kRows>(Columns<kFactors, kVectors, LastVectorInPart>(g, less, col, in_part), g.rows);
    }
  }
}

// less: as of GemmU8S8Quads.
template <Factors kFactors>
OCTET_TARGET_VNNI void MultiplyAll(const GemmArgs<int32_t>& g, const int32_t* less) {
  for (size_t col = 0, cols; col < g.cols; col += cols) {
    cols = std::min(g.cols - col, kMaxVectors * kLanes);
    switch ((cols + kLanes - 1) / kLanes) {
      case 4:
        MultiplyColumns<kFactors, 4>(g, less, col, cols);
        break;
      case 3:
        MultiplyColumns<kFactors, 3>(g, less, col, cols);
        break;
      case 2:
        MultiplyColumns<kFactors, 2>(g, less, col, cols);
        break;
      default:
        MultiplyColumns<kFactors, 1>(g, less, col, cols);
        break;
    }
  }
}

OCTET_TARGET_VNNI void MultiplyS16(const GemmS16& g) { MultiplyAll<Factors::kS16Pairs>(g, nullptr); }
OCTET_TARGET_VNNI void MultiplyU8S8Quads(const GemmU8S8Quads& g) { MultiplyAll<Factors::kU8S8Quads>(g, g.less); }

// Three vectors of columns by up to eight rows: 11 loads for 24 products, and a panel of depth 384 lies in L1 beside 64 rows of
// a. The last panel has fewer where fewer hold all columns.
constexpr int kPanelVectors = 3;
constexpr int kPanelRows = kMaxSums / kPanelVectors;
constexpr size_t kPanelCols = kPanelVectors * kLanes;
static_assert(kVnniU8S8Layout.cols == kPanelCols && kVnniU8S8Layout.group == 4);

// What two steps of depth read of a panel.
constexpr size_t kPairBytes = 2 * kPanelCols * kVnniU8S8Layout.group;

// Columns of a layer from `col` on, kVectors of a panel. Copies, as Columns. kNextLines: cache lines that two steps of a tile
// bring near of the next panel, at least kPairBytes * kPanelRows / rows of the layer's rows, or 0.
template <int kVectors, int kNextLines, bool kHasGelu>
class PanelU8S8 {
 public:
  // zero_points: pairs, per row.
  OCTET_TARGET_VNNI PanelU8S8(const LinearU8S8& l, const int32_t* zero_points, size_t col)
      : a_(reinterpret_cast<const int32_t*>(l.a)),
        b_(reinterpret_cast<const int32_t*>(l.b + col * l.depth)),
        y_(l.y + col),
        zero_points_(zero_points),
        quantizations_(l.quantizations),
        rows_(l.rows),
        cols_(l.cols),
        depth_(l.depth / 4) {
    for (size_t v = 0; v < kVectors; ++v) {
      const size_t begin = col + v * kLanes, lanes = begin < l.cols ? std::min(l.cols - begin, kLanes) : 0;
      masks_[v] = static_cast<__mmask16>((1u << lanes) - 1);
      column_sums_[v] = _mm512_loadu_si512(l.columns.column_sums + begin);
      weight_scales_[v] = _mm512_loadu_ps(l.columns.weight_scales + begin);
      bias_[v] = _mm512_loadu_ps(l.columns.bias + begin);
    }
  }

  template <int kRows>
  OCTET_TARGET_VNNI void Run(size_t row) const {
    const __m512i* const column_sums = column_sums_;
    const int32_t* const zero_points = zero_points_ + row;
    Tile<Factors::kU8S8Quads, kRows, kVectors> tile([=](int r, int v) OCTET_TARGET_VNNI {
      return _mm512_madd_epi16(_mm512_set1_epi32(zero_points[r]), column_sums[v]);
    });
    const auto load = [](const int32_t* b, __m512i* bv) OCTET_TARGET_VNNI {
      for (size_t v = 0; v < kVectors; ++v) bv[v] = _mm512_load_si512(b + v * kLanes);
    };
    // Weights come from the last-level cache: each tile brings its share of the next panel near, evenly, since together they
    // would hold up the tile's own.
    const size_t panel_bytes = depth_ * kPanelCols * sizeof(*b_);
    const char* next = reinterpret_cast<const char*>(b_) + panel_bytes + panel_bytes * row / rows_;
    const size_t next_stride = kPairBytes * kRows / rows_;
    tile.template Add<2>(a_ + row * depth_, depth_, b_, kPanelCols, depth_, load,
                         [&next, next_stride]() OCTET_TARGET_VNNI {
                           for (int i = 0; i < kNextLines; ++i) _mm_prefetch(next + i * kCacheLineBytes, _MM_HINT_T1);
                           next += next_stride;
                         });
    float* const y = y_ + row * cols_;
    const size_t cols = cols_;
    const RowQuantization* const quantizations = quantizations_ + row;
    const __m512* const weight_scales = weight_scales_;
    const __m512* const bias = bias_;
    const __mmask16* const masks = masks_;
    tile.ForEach([=](size_t r, int v, __m512i sum) OCTET_TARGET_VNNI {
      const __m512 scale = _mm512_mul_ps(_mm512_set1_ps(quantizations[r].scale), weight_scales[v]);
      const __m512 x = _mm512_fmadd_ps(ToF32(sum), scale, bias[v]);
      _mm512_mask_storeu_ps(y + r * cols + v * kLanes, masks[v], kHasGelu ? GeluErfShort(x) : x);
    });
  }

 private:
  const int32_t *a_, *b_;
  float* y_;
  const int32_t* zero_points_;
  const RowQuantization* quantizations_;
  size_t rows_, cols_, depth_;
  __mmask16 masks_[kVectors];  // of columns that there are
  __m512i column_sums_[kVectors];
  __m512 weight_scales_[kVectors], bias_[kVectors];
};

// The layer's last panel, from `col` on.
template <int kVectors, bool kHasGelu>
OCTET_TARGET_VNNI void RunLastPanel(const LinearU8S8& l, const int32_t* zero_points, size_t col) {
  constexpr int kRows = std::min(kMaxSums / kVectors, kMaxRows);
  ForTiles<kRows>(PanelU8S8<kVectors, 0, kHasGelu>(l, zero_points, col), l.rows);
}

template <int kNextLines, bool kHasGelu>
OCTET_TARGET_VNNI void RunPanels(const LinearU8S8& l) {
  int32_t zero_points[kMaxProductRows];
  for (size_t r = 0; r < l.rows; ++r) zero_points[r] = ZeroPointPair(l.quantizations[r].zero_point);
  size_t col = 0;
  for (; col + (kPanelVectors - 1) * kLanes < l.cols; col += kPanelCols) {
    ForTiles<kPanelRows>(PanelU8S8<kPanelVectors, kNextLines, kHasGelu>(l, zero_points, col), l.rows);
  }
  if (col + kLanes < l.cols) {
    RunLastPanel<2, kHasGelu>(l, zero_points, col);
  } else if (col < l.cols) {
    RunLastPanel<1, kHasGelu>(l, zero_points, col);
  }
}

template <bool kHasGelu>
OCTET_TARGET_VNNI void RunLinear(const LinearU8S8& l) {
  constexpr size_t kAllLines = kPairBytes / kCacheLineBytes;
  if (l.rows >= kAllLines * kPanelRows) return RunPanels<1, kHasGelu>(l);
  if (l.rows >= kAllLines * kPanelRows / 2) return RunPanels<2, kHasGelu>(l);
  if (l.rows >= kAllLines * kPanelRows / 3) return RunPanels<3, kHasGelu>(l);
  RunPanels<kAllLines, kHasGelu>(l);
}

OCTET_TARGET_VNNI void RunLinearU8S8(const LinearU8S8& l) { l.has_gelu ? RunLinear<true>(l) : RunLinear<false>(l); }

}  // namespace

void (*VnniGemmS16())(const GemmS16&) { return MultiplyS16; }
void (*VnniGemmU8S8Quads())(const GemmU8S8Quads&) { return MultiplyU8S8Quads; }
void (*VnniLinearU8S8())(const LinearU8S8&) { return RunLinearU8S8; }

}  // namespace octet::kernels
