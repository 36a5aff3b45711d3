// What kernels over rows have in common, once per target of simd_targets.h. A row is walked in whole vectors and one
// last part of a vector, which is loaded with zeros in its unused lanes and stored under a mask; the arithmetic of both
// is the same source. Sums are taken in a number of lanes that does not depend on the vector's length.
#if defined(OCTET_KERNELS_SIMD_ROWS_INL_H_) == defined(HWY_TARGET_TOGGLE)  // included again for every target
#ifdef OCTET_KERNELS_SIMD_ROWS_INL_H_
#undef OCTET_KERNELS_SIMD_ROWS_INL_H_
#else
#define OCTET_KERNELS_SIMD_ROWS_INL_H_
#endif

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <type_traits>
#include <utility>

#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace octet::kernels {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

using DF = hn::ScalableTag<float>;
using DI = hn::ScalableTag<int32_t>;
using VF = hn::Vec<DF>;
using VI = hn::Vec<DI>;

constexpr size_t kLanes = hn::MaxLanes(DF());

// How the elements of one vector are read and written. Whole or in part: fewer than kLanes.
struct Whole {
  template <class D, typename T = hn::TFromD<D>>
  HWY_INLINE hn::Vec<D> Load(D d, const T* p) const {
    return hn::LoadU(d, p);
  }
  template <class D, typename T = hn::TFromD<D>>
  HWY_INLINE void Store(hn::Vec<D> v, D d, T* p) const {
    hn::StoreU(v, d, p);
  }
  HWY_INLINE VF ZeroUnused(VF v) const { return v; }
};

struct Part {
  // Narrow lanes have masks from AVX-512 on; below, they go through memory.
  template <typename T>
  static constexpr bool kHasMask = sizeof(T) == sizeof(float) || HWY_TARGET == HWY_AVX3;

  size_t count;

  template <class D, typename T = hn::TFromD<D>>
  HWY_INLINE hn::Vec<D> Load(D d, const T* p) const {
    if constexpr (kHasMask<T>) {
      return hn::MaskedLoad(hn::FirstN(d, count), d, p);
    } else {
      HWY_ALIGN T lanes[kLanes] = {};
      std::memcpy(lanes, p, count * sizeof(T));
      return hn::Load(d, lanes);
    }
  }
  template <class D, typename T = hn::TFromD<D>>
  HWY_INLINE void Store(hn::Vec<D> v, D d, T* p) const {
    if constexpr (kHasMask<T>) {
      hn::BlendedStore(v, hn::FirstN(d, count), d, p);
    } else {
      HWY_ALIGN T lanes[kLanes];
      hn::Store(v, d, lanes);
      std::memcpy(p, lanes, count * sizeof(T));
    }
  }
  HWY_INLINE VF ZeroUnused(VF v) const { return hn::IfThenElseZero(hn::FirstN(DF(), count), v); }
};

// body(c, lanes) for each vector of a row: it begins at element c and is read and written through `lanes`.
template <class F>
HWY_INLINE void ForEachVector(size_t n, const F& body) {
  size_t c = 0;
  for (; c + kLanes <= n; c += kLanes) body(c, Whole());
  if (c < n) body(c, Part{n - c});
}

// y[c] = f(x[c]) over a row.
template <class F>
HWY_INLINE void MapRow(const float* x, size_t n, float* y, const F& f) {
  const DF d;
  ForEachVector(n, [&](size_t c, auto lanes) { lanes.Store(f(lanes.Load(d, x + c)), d, y + c); });
}

#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX2
// Vectors of s16 to one of T, u8 or s8, with saturation, within the 16-byte parts.
template <typename T>
HWY_INLINE VI PackWithinParts(hn::Vec<hn::Repartition<int16_t, DI>> a, hn::Vec<hn::Repartition<int16_t, DI>> b) {
#if HWY_TARGET == HWY_AVX3
  if constexpr (std::is_signed_v<T>) return VI{_mm512_packs_epi16(a.raw, b.raw)};
  return VI{_mm512_packus_epi16(a.raw, b.raw)};
#else
  if constexpr (std::is_signed_v<T>) return VI{_mm256_packs_epi16(a.raw, b.raw)};
  return VI{_mm256_packus_epi16(a.raw, b.raw)};
#endif
}

// Puts in order what packing leaves: of each 16-byte part of kSources vectors one dword of every source after the other.
template <size_t kSources>
HWY_INLINE VI InOrder(VI packed) {
  constexpr size_t kParts = kLanes / 4;
  HWY_ALIGN int32_t order[kLanes];
  for (size_t i = 0; i < kLanes; ++i) {
    order[i] = static_cast<int32_t>(i % kParts * 4 + i / kParts % kSources);
  }
  return hn::TableLookupLanes(packed, hn::SetTableIndices(DI(), order));
}
#endif

// q[c] = values(c) of a row, in s32, narrowed to u8 or s8 with saturation. values(c, lanes)
template <typename T, class F>
HWY_INLINE void NarrowRow(size_t n, T* q, const F& values) {
  const hn::Rebind<T, DI> d8;
  size_t c = 0;
#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX2
  const hn::Repartition<int16_t, DI> d16;
  const auto pair = [&](size_t at, auto second) {
    return hn::ReorderDemote2To(d16, values(at, Whole()), values(at + kLanes, second));
  };
  for (; c + 4 * kLanes <= n; c += 4 * kLanes) {
    const VI packed = InOrder<4>(PackWithinParts<T>(pair(c, Whole()), pair(c + 2 * kLanes, Whole())));
    hn::StoreU(packed, DI(), reinterpret_cast<int32_t*>(q + c));
  }
  const hn::Half<DI> half;
  const auto two = [half](auto values16) {
    return hn::LowerHalf(half, InOrder<2>(PackWithinParts<T>(values16, values16)));
  };
  if (c + 2 * kLanes <= n) {
    hn::StoreU(two(pair(c, Whole())), half, reinterpret_cast<int32_t*>(q + c));
    c += 2 * kLanes;
  }
  if constexpr (Part::kHasMask<T>) {
    // More than one vector, less than two: one packing, which takes no longer than one vector's narrowing.
    if (c + kLanes < n) {
      const hn::Repartition<T, hn::Half<DI>> d8_two;
      const auto packed = hn::BitCast(d8_two, two(pair(c, Part{n - c - kLanes})));
      hn::BlendedStore(packed, hn::FirstN(d8_two, n - c), d8_two, q + c);
      return;
    }
  }
#endif
  for (; c + kLanes <= n; c += kLanes) hn::StoreU(hn::DemoteTo(d8, values(c, Whole())), d8, q + c);
  if (c < n) {
    const Part lanes{n - c};
    lanes.Store(hn::DemoteTo(d8, values(c, lanes)), d8, q + c);
  }
}

// The sum of all lanes: the upper half of the vector is added to the lower one until one lane is left.
template <class D>
HWY_INLINE float SumHalves(D d, hn::Vec<D> v) {
#if HWY_TARGET == HWY_SCALAR
  return hn::GetLane(v);
#else
  if constexpr (hn::MaxLanes(D()) == 1) {
    return hn::GetLane(v);
  } else {
    const hn::Half<D> half;
    return SumHalves(half, hn::Add(hn::LowerHalf(half, v), hn::UpperHalf(half, v)));
  }
#endif
}

// Running sums of a row. Each waits for its predecessor: sixteen are enough where other work lies between.
constexpr size_t kShortSums = 16, kLongSums = 64;

// Vectors that are folded together to a value each.
constexpr size_t kFolded = 4;

// SumHalves of each of kFolded vectors, in the same order of additions: most steps of two are one of both.
HWY_INLINE void SumHalvesOfEach(const VF* v, float* sums) {
#if HWY_TARGET != HWY_AVX3 && HWY_TARGET != HWY_AVX2  // the baseline target, which Highway compiles as well
  for (size_t i = 0; i < kFolded; ++i) sums[i] = SumHalves(DF(), v[i]);
#else
  const DF d;
  const auto halves = [d](VF a, VF b) { return hn::Add(hn::ConcatLowerLower(d, b, a), hn::ConcatUpperUpper(d, b, a)); };
  const auto within_blocks = [](VF x) {
    x = hn::Add(x, hn::Shuffle1032(x));
    return hn::Add(x, hn::Shuffle2301(x));
  };
  VF ab = halves(v[0], v[1]), ce = halves(v[2], v[3]);
  HWY_ALIGN float lanes[2 * kLanes];
  if constexpr (kLanes == 16) {
    ab = hn::Add(ab, hn::SwapAdjacentBlocks(ab));
    ce = hn::Add(ce, hn::SwapAdjacentBlocks(ce));
    hn::Store(within_blocks(hn::OddEvenBlocks(ce, ab)), d, lanes);
    sums[0] = lanes[0], sums[1] = lanes[8], sums[2] = lanes[4], sums[3] = lanes[12];
  } else {
    hn::Store(within_blocks(ab), d, lanes);
    hn::Store(within_blocks(ce), d, lanes + kLanes);
    sums[0] = lanes[0], sums[1] = lanes[4], sums[2] = lanes[kLanes], sums[3] = lanes[kLanes + 4];
  }
#endif
}

// fold of all lanes of each of kFolded vectors, of floats or integers, where the order does not matter: each 16 bytes of the
// result have one value of each.
template <class D, class F>
HWY_INLINE hn::Vec<D> FoldEach(D d, const hn::Vec<D>* v, const F& fold) {
#if HWY_TARGET != HWY_AVX3 && HWY_TARGET != HWY_AVX2
  return fold(v[0], v[1]);  // not used
#else
  const hn::Repartition<double, D> d64;
  const auto ab = fold(hn::InterleaveLower(d, v[0], v[1]), hn::InterleaveUpper(d, v[0], v[1]));
  const auto ce = fold(hn::InterleaveLower(d, v[2], v[3]), hn::InterleaveUpper(d, v[2], v[3]));
  const auto ab64 = hn::BitCast(d64, ab), ce64 = hn::BitCast(d64, ce);
  auto all =
      fold(hn::BitCast(d, hn::InterleaveLower(d64, ab64, ce64)), hn::BitCast(d, hn::InterleaveUpper(d64, ab64, ce64)));
  all = fold(all, hn::ConcatLowerUpper(d, all, all));
  if constexpr (kLanes == 16) all = fold(all, hn::SwapAdjacentBlocks(all));
  return all;
#endif
}

// The largest lane of each.
template <class D, typename T = hn::TFromD<D>>
HWY_INLINE void MaxOfEach(D d, const hn::Vec<D>* v, T* maxima) {
  HWY_ALIGN T lanes[kLanes];
  hn::Store(FoldEach(d, v, [](auto a, auto b) { return hn::Max(a, b); }), d, lanes);
  std::memcpy(maxima, lanes, kFolded * sizeof(T));
}

// Of a lambda that is called in many places: else g++ 12 calls it as a function from some number of them on, and what it captures is
// in memory.
#define OCTET_INLINE_LAMBDA __attribute__((always_inline))

// body(i) for i from 0 to kCount - 1, as constants: what a loop indexes would be kept in memory.
template <size_t kCount, class F>
HWY_INLINE void ForEachIndex(const F& body) {
  [&body]<size_t... kIdx>(std::index_sequence<kIdx...>) OCTET_INLINE_LAMBDA { (body(kIdx), ...); }
  (std::make_index_sequence<kCount>());
}

// The second half of the sums is added to the first, until one is left.
template <size_t kCount>
HWY_INLINE VF AddHalves(const VF* sums) {
  if constexpr (kCount == 1) {
    return sums[0];
  } else {
    VF halves[kCount / 2];
    ForEachIndex<kCount / 2>([&](size_t i) OCTET_INLINE_LAMBDA { halves[i] = hn::Add(sums[i], sums[i + kCount / 2]); });
    return AddHalves<kCount / 2>(halves);
  }
}

// Folds a row into kSums running sums, however many vectors they take: lane l has elements l, l + kSums, l + 2 kSums and
// so on, in that order. fold(c, lanes, sum) returns `sum` with the vector of elements from c on folded in. Returned are
// the sums, added half to half down to one vector.
template <size_t kSums, class F>
HWY_INLINE VF SumRowInLanes(size_t n, const F& fold) {
  constexpr size_t kVectors = kSums / kLanes;
  const DF d;
  VF sums[kVectors];
  ForEachIndex<kVectors>([&](size_t v) OCTET_INLINE_LAMBDA { sums[v] = hn::Zero(d); });
  size_t c = 0;
  for (; c + kSums <= n; c += kSums) {
    ForEachIndex<kVectors>([&](size_t v) OCTET_INLINE_LAMBDA { sums[v] = fold(c + v * kLanes, Whole(), sums[v]); });
  }
  if (c < n) {
    ForEachIndex<kVectors>([&](size_t v) OCTET_INLINE_LAMBDA {
      const size_t begin = c + v * kLanes;
      if (begin + kLanes <= n) {
        sums[v] = fold(begin, Whole(), sums[v]);
      } else if (begin < n) {
        sums[v] = fold(begin, Part{n - begin}, sums[v]);
      }
    });
  }
  return AddHalves<kVectors>(sums);
}

// And down to one.
template <size_t kSums, class F>
HWY_INLINE float SumRow(size_t n, const F& fold) {
  return SumHalves(DF(), SumRowInLanes<kSums>(n, fold));
}

// Added to |x| < 2^22 in f32, this leaves x rounded to nearest even in the last places of the mantissa.
constexpr float kRoundingBias = 12582912.0f;  // 1.5 * 2^23

// p 2^k of a whole k in [-125, 127], which is also in the last places of `biased` = k + kRoundingBias.
HWY_INLINE VF TimesPowerOfTwo(VF p, VF k, VF biased) {
#if HWY_TARGET == HWY_AVX3
  return VF{_mm512_scalef_ps(p.raw, k.raw)};
#else
  const DF d;
  const DI di;
  // Moved into the exponent; the bias's own bits fall off.
  const auto power = hn::Add(hn::ShiftLeft<23>(hn::BitCast(di, biased)), hn::Set(di, 127 << 23));
  return hn::Mul(p, hn::BitCast(d, power));
#endif
}

// 2^x for x <= 127; below -125 it is taken there, above the smallest normal number. x = k + r, |r| <= 1/2, and 2^r =
// 1 + r P(r), highest power first, with P of degree 4 of least relative error, 9.2e-8; with rounding below 2e-7.
HWY_INLINE VF Exp2(VF x) {
  constexpr float kCoefficients[] = {0.0013264727f, 0.009671513f, 0.055507336f, 0.24022242f, 0.693147f, 1.0f};
  const DF d;
  x = hn::Max(hn::Set(d, -125.0f), x);  // in this order x86 keeps a NaN in x
  const VF biased = hn::Add(x, hn::Set(d, kRoundingBias));
  const VF k = hn::Sub(biased, hn::Set(d, kRoundingBias));
  const VF r = hn::Sub(x, k);
  VF p = hn::Set(d, kCoefficients[0]);
  for (size_t i = 1; i < std::size(kCoefficients); ++i) p = hn::MulAdd(p, r, hn::Set(d, kCoefficients[i]));
  return TimesPowerOfTwo(p, k, biased);
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace octet::kernels
HWY_AFTER_NAMESPACE();

#endif  // OCTET_KERNELS_SIMD_ROWS_INL_H_
