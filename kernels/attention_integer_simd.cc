// Row kernels of attention in 16-bit integers, in Highway, compiled once per target of simd_targets.h. A row's bits are
// the same on every target.
#include "kernels/simd_targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/attention_integer_simd.cc"
#include "hwy/foreach_target.h"  // must come before highway.h

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>
#include <type_traits>

#include "base/rounding.h"
#include "hwy/highway.h"
#include "kernels/simd_kernels.h"
#include "kernels/simd_rows-inl.h"
#include "kernels/softmax_s16.h"

HWY_BEFORE_NAMESPACE();
namespace octet::kernels {
namespace HWY_NAMESPACE {
namespace {

// body(head_dim), with the common sizes of a head (26: TinyBERT) as constants, so that loops over them are unrolled.
template <class F>
HWY_INLINE void WithKnownHeadDim(size_t head_dim, const F& body) {
  switch (head_dim) {
    case 26:
      return body(std::integral_constant<size_t, 26>());
    case 32:
      return body(std::integral_constant<size_t, 32>());
    case 64:
      return body(std::integral_constant<size_t, 64>());
    default:
      return body(head_dim);
  }
}

// x[c .. c + kLanes) of a row of n values, those past n as zeros. `lanes`: how a row that has no less is read there.
template <class Size, class Lanes>
HWY_INLINE VF LoadPadded(const float* x, size_t c, Size n, Lanes lanes) {
  const DF d;
  return c + kLanes > n ? Part{n - c}.Load(d, x + c) : lanes.Load(d, x + c);
}

// q[c] = round_half_even(x[c] * factor) of a row, |q| < 32768; of a NaN 0. Up to `size`, at most kLanes more than n, of zeros.
template <class Size>
HWY_INLINE void RoundRow(const float* x, float factor, Size n, size_t size, int16_t* q) {
  const DI di;
  const hn::Rebind<int16_t, DI> d16_half;
  const VF factors = hn::Set(DF(), factor), bias = hn::Set(DF(), kRoundingBias);
  const auto bias_bits = hn::BitCast(di, bias);
  const auto rounded = [&](size_t c, auto lanes) {
    return hn::BitCast(di, hn::MulAdd(LoadPadded(x, c, n, lanes), factors, bias));
  };
  size_t c = 0;
#if HWY_TARGET != HWY_SCALAR
  // Two vectors at a time: the lower halves of the sums' bits are the integers.
  const hn::Repartition<int16_t, DI> d16;
  const auto two = [&](size_t at, auto second) {
    return hn::ConcatEven(d16, hn::BitCast(d16, rounded(at + kLanes, second)), hn::BitCast(d16, rounded(at, Whole())));
  };
  for (; c + 2 * kLanes <= size; c += 2 * kLanes) hn::StoreU(two(c, Whole()), d16, q + c);
  if constexpr (Part::kHasMask<int16_t>) {
    if (c + kLanes < size) {
      return hn::BlendedStore(two(c, Part{size - c - kLanes}), hn::FirstN(d16, size - c), d16, q + c);
    }
  }
#endif
  const auto store = [&](size_t at, auto lanes) {
    lanes.Store(hn::DemoteTo(d16_half, hn::Sub(rounded(at, lanes), bias_bits)), d16_half, q + at);
  };
  for (; c + kLanes <= size; c += kLanes) store(c, Whole());
  if (c < size) store(c, Part{size - c});
}

// What stands for 0.
template <typename T>
constexpr T kZeroOf = static_cast<T>(std::is_same_v<T, uint8_t> ? kHeadOffsetU8 : 0);

// As above, in u8 or s8.
template <typename T, class Size>
HWY_INLINE void RoundRow(const float* x, float factor, Size n, size_t size, T* q) {
  const DF d;
  const DI di;
  const VF factors = hn::Set(d, factor), bias = hn::Set(d, kRoundingBias);
  const auto offset = hn::Set(di, int32_t{kZeroOf<T>} - std::bit_cast<int32_t>(kRoundingBias));
  NarrowRow(size, q, [&](size_t c, auto lanes) {
    return hn::Add(hn::BitCast(di, hn::MulAdd(LoadPadded(x, c, n, lanes), factors, bias)), offset);
  });
}

// The largest of a row's absolute values in each lane, as bits: NaN and infinity are above all others.
HWY_INLINE VI MaxAbsBitsOfLanes(const float* x, size_t n) {
  const DF d;
  const DI di;
  VI max = hn::Zero(di);
  ForEachVector(n, [&](size_t c, auto lanes) {
    const VI bits = hn::BitCast(di, hn::Abs(lanes.Load(d, x + c)));
    max = c == 0 ? bits : hn::Max(max, bits);  // known where n is: one step less
  });
  return max;
}

HWY_INLINE int32_t MaxAbsBits(const float* x, size_t n) {
  const DI di;
  return hn::GetLane(hn::MaxOfLanes(di, MaxAbsBitsOfLanes(x, n)));
}

// Scales and factors of kLanes heads, from the bits of their largest absolute values; a factor of 0 for a head whose integers are
// all 0. Returns whether there is none of these.
HWY_INLINE bool ScalesOfHeads(const int32_t* max_bits, float limit, float* scales, float* factors) {
  const DF d;
  const VF max = hn::BitCast(d, hn::Load(DI(), max_bits)), scale = hn::Mul(max, hn::Set(d, 1.0f / limit));
  const auto is_finite = hn::Le(max, hn::Set(d, std::numeric_limits<float>::max()));
  const auto is_usable = hn::And(is_finite, hn::Ge(scale, hn::Set(d, 1e-30f)));
  const VF unusable =
      hn::IfThenElse(is_finite, hn::Set(d, kZeroHeadScale), hn::Set(d, std::numeric_limits<float>::quiet_NaN()));
  hn::Store(hn::IfThenElse(is_usable, scale, unusable), d, scales);
  hn::Store(hn::IfThenElseZero(is_usable, hn::Div(hn::Set(d, limit), max)), d, factors);
  return hn::AllTrue(d, is_usable);
}

// Heads [first_head, first_head + heads) of rows [first_row, first_row + rows), kHeadsAtOnce at most. Step by step, not head by
// head: the end of a head's step waits for itself, and others' steps fill the time.
constexpr size_t kHeadsAtOnce = 64;

template <typename T, class Dim>
HWY_INLINE void QuantizeSomeHeads(const HeadRows<T>& h, Dim head_dim, size_t first_row, size_t rows, size_t first_head,
                                  size_t heads) {
  const DI di;
  const size_t count = rows * heads, padded_count = RoundUp(count, kLanes);
  VI lanes[kHeadsAtOnce];
  HWY_ALIGN int32_t max_bits[kHeadsAtOnce];
  HWY_ALIGN float scales[kHeadsAtOnce], factors[kHeadsAtOnce];
  const size_t row_dim = h.num_heads * head_dim, head_size = HeadSize<T>(head_dim);
  const float* const x = h.x + first_row * row_dim + first_head * head_dim;
  for (size_t r = 0, i = 0; r < rows; ++r) {
    const float* head = x + r * row_dim;
    for (size_t end = i + heads; i < end; ++i, head += head_dim) lanes[i] = MaxAbsBitsOfLanes(head, head_dim);
  }
  for (size_t i = count; i < padded_count; ++i) lanes[i] = hn::Set(di, std::bit_cast<int32_t>(1.0f));
  for (size_t i = 0; i < padded_count; i += kFolded) MaxOfEach(di, lanes + i, max_bits + i);
  bool all_usable = true;
  for (size_t i = 0; i < padded_count; i += kLanes) {
    all_usable &= ScalesOfHeads(max_bits + i, h.limit, scales + i, factors + i);
  }
  for (size_t r = 0, i = 0; r < rows; ++r) {
    const float* head = x + r * row_dim;
    T* q = h.q + ((first_row + r) * h.num_heads + first_head) * head_size;
    float* scale = h.scales + first_head * h.scale_stride + first_row + r;
    for (size_t end = i + heads; i < end; ++i, head += head_dim, q += head_size, scale += h.scale_stride) {
      *scale = scales[i];
      if (!all_usable && factors[i] == 0.0f) {
        std::fill_n(q, head_size, kZeroOf<T>);
      } else {
        RoundRow(head, factors[i], head_dim, head_size, q);
      }
    }
  }
}

template <typename T, class Dim>
HWY_INLINE void QuantizeAllHeads(const HeadRows<T>& h, Dim head_dim) {
  const size_t heads_at_once = h.num_heads < kHeadsAtOnce ? h.num_heads : kHeadsAtOnce;
  const size_t rows_at_once = kHeadsAtOnce / heads_at_once;
  for (size_t row = 0; row < h.rows; row += rows_at_once) {
    const size_t rows = h.rows - row < rows_at_once ? h.rows - row : rows_at_once;
    for (size_t head = 0; head < h.num_heads; head += heads_at_once) {
      const size_t heads = h.num_heads - head < heads_at_once ? h.num_heads - head : heads_at_once;
      QuantizeSomeHeads(h, head_dim, row, rows, head, heads);
    }
  }
}

template <typename T>
void QuantizeHeads(const HeadRows<T>& h) {
  WithKnownHeadDim(h.head_dim, [&h](auto head_dim) { QuantizeAllHeads(h, head_dim); });
}

template <class Size>
HWY_INLINE void InterleaveRowsOf(Size cols, const int16_t* src, size_t stride, size_t rows, int16_t* pairs) {
  const hn::Rebind<uint16_t, DI> du16;
  const hn::Rebind<uint32_t, DI> du32;
  const auto load = [&](size_t r, size_t c, auto lanes) {
    return hn::PromoteTo(du32, lanes.Load(du16, reinterpret_cast<const uint16_t*>(src + r * stride + c)));
  };
  size_t r = 0;
  for (; r + 2 <= rows; r += 2, pairs += 2 * cols) {
    ForEachVector(cols, [&](size_t c, auto lanes) {
      const auto high = hn::ShiftLeft<16>(load(r + 1, c, lanes));
      lanes.Store(hn::Or(load(r, c, lanes), high), du32, reinterpret_cast<uint32_t*>(pairs + 2 * c));
    });
  }
  if (r == rows) return;
  ForEachVector(cols, [&](size_t c, auto lanes) {
    lanes.Store(load(r, c, lanes), du32, reinterpret_cast<uint32_t*>(pairs + 2 * c));
  });
}

void InterleaveRows(const int16_t* src, size_t stride, size_t rows, size_t cols, int16_t* pairs) {
  WithKnownHeadDim(cols, [&](auto size) { InterleaveRowsOf(size, src, stride, rows, pairs); });
}

float RelativeScalesOf(const float* scales, size_t n, int16_t* parts) {
  const float largest = std::bit_cast<float>(MaxAbsBits(scales, n));
  RoundRow(scales, kWholeScale / largest, n, n, parts);
  std::fill(parts + n, parts + RoundUp(n, kScoreCols), int16_t{0});
  return largest;
}

#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX2
using D16 = hn::Repartition<int16_t, DI>;
using DU16 = hn::Repartition<uint16_t, DI>;
using V16 = hn::Vec<D16>;
using VU16 = hn::Vec<DU16>;
constexpr size_t kLanes16 = 2 * kLanes;
static_assert(kScoreCols % kLanes16 == 0);

// Values of up to kMaxSoftmaxRows rows, one in a lane.
constexpr size_t kRowVectors = RoundUp(kMaxSoftmaxRows, kLanes) / kLanes;

// Of x below 2^16.
HWY_INLINE VI InBothHalves(VI x) { return hn::Or(x, hn::ShiftLeft<16>(x)); }

// `lanes` of rows folded to a value each: rows of vector v of those. `lanes`: rows up to a multiple of kFolded.
template <class F>
HWY_INLINE VI FoldRows(const VI* lanes, size_t v, size_t rows, const F& fold) {
  const DI di;
  VI values = FoldEach(di, lanes + v * kLanes, fold);
  for (size_t begin = kFolded; begin < kLanes && v * kLanes + begin < rows; begin += kFolded) {
    values = hn::IfThenElse(hn::FirstN(di, begin), values, FoldEach(di, lanes + v * kLanes + begin, fold));
  }
  return values;
}

// x >> bits, 0 from 16 bits on.
HWY_INLINE VU16 ShiftRight(VU16 x, VU16 bits) {
#if HWY_TARGET == HWY_AVX3
  return hn::Shr(x, bits);
#else
  const DU16 du16;
  const hn::Repartition<uint32_t, DI> du32;
  const VU16 zero = hn::Zero(du16);
  const auto lower = hn::Shr(hn::BitCast(du32, hn::InterleaveLower(du16, x, zero)),
                             hn::BitCast(du32, hn::InterleaveLower(du16, bits, zero)));
  const auto upper = hn::Shr(hn::BitCast(du32, hn::InterleaveUpper(du16, x, zero)),
                             hn::BitCast(du32, hn::InterleaveUpper(du16, bits, zero)));
  return VU16{_mm256_packus_epi32(lower.raw, upper.raw)};
#endif
}

// body(c, keep): as ForEachVector, of kLanes16 elements. keep(x, otherwise): x with `otherwise` in the lanes past n.
template <class F>
HWY_INLINE void ForEachVector16(size_t n, const F& body) {
  size_t c = 0;
  for (; c + kLanes16 <= n; c += kLanes16) body(c, [](V16 x, V16) { return x; });
  if (c < n) {
    const auto used = hn::FirstN(D16(), n - c);
    body(c, [used](V16 x, V16 otherwise) { return hn::IfThenElse(used, x, otherwise); });
  }
}

// Scores of a row in 16 bits. Returns the largest of each two lanes, in the upper halves.
HWY_INLINE VI NarrowScores(const int32_t* scores, VI shift, const int16_t* keys, size_t n, int16_t* narrow) {
  const D16 d16;
  const DI di;
  const V16 lowest = hn::Set(d16, std::numeric_limits<int16_t>::min());
  const auto shifted = [&](size_t c) { return hn::BitCast(d16, hn::Shl(hn::LoadU(di, scores + c), shift)); };
  V16 max = lowest;
  ForEachVector16(n, [&](size_t c, auto keep) {
    const V16 x = hn::MulFixedPoint15(hn::ConcatOdd(d16, shifted(c + kLanes), shifted(c)), hn::LoadU(d16, keys + c));
    max = hn::Max(max, keep(x, lowest));
    hn::StoreU(x, d16, narrow + c);
  });
  const VI pairs = hn::BitCast(di, max);
  return hn::Max(pairs, hn::ShiftLeft<16>(pairs));
}

// What a row's scores are turned into weights with: pairs.
struct RowOfScores {
  int32_t max, factor, two_to_whole_bits;
};

// p of a row in place of its scores, not yet narrowed. Returns the sums of its weights in lanes.
HWY_INLINE VI WeighScores(const RowOfScores& pairs, const int16_t* values, size_t n, int16_t* row) {
  const D16 d16;
  const DU16 du16;
  const DI di;
  const auto set = [&](int32_t pair) { return hn::BitCast(du16, hn::Set(di, pair)); };
  const VU16 max = set(pairs.max), factor = set(pairs.factor), power = set(pairs.two_to_whole_bits);
  const V16 zero = hn::Zero(d16), one = hn::Set(d16, 1);
  VI sums = hn::Zero(di), unused = hn::Zero(di);
  ForEachVector16(n, [&](size_t c, auto keep) {
    const VU16 t = hn::MulHigh(hn::Sub(max, hn::BitCast(du16, hn::LoadU(d16, row + c))), factor);
    const VU16 f = hn::Mul(t, power);
    VU16 y = hn::Set(du16, kPowerCoefficients[3]);
    for (int i = 2; i >= 0; --i) y = hn::Sub(hn::Set(du16, kPowerCoefficients[i]), hn::MulHigh(f, y));
    const VU16 shifted = ShiftRight(y, hn::MulHigh(t, power));
    const V16 weight = keep(hn::BitCast(d16, hn::AverageRound(shifted, hn::Zero(du16))), zero);
    sums = hn::ReorderWidenMulAccumulate(di, weight, one, sums, unused);
    hn::StoreU(hn::MulFixedPoint15(weight, hn::LoadU(d16, values + c)), d16, row + c);
  });
  return sums;
}

// Of rows whose unit is `unit`, the factors and powers that softmax_s16.h explains, as pairs.
HWY_INLINE void StepsOf(VF unit, int32_t* factors, int32_t* powers) {
  const DI di;
  const hn::RebindToUnsigned<DI> du;
  const auto bits = hn::BitCast(du, unit);
  const VI whole_bits = hn::Sub(hn::BitCast(di, hn::ShiftRight<23>(bits)), hn::Set(di, 127 - 17));
  const auto with_first = hn::Or(hn::And(bits, hn::Set(du, 0x7FFFFF)), hn::Set(du, 0x800000));
  const VI zero = hn::Zero(di), most = hn::Set(di, kMaxWholeBits);
  const auto mantissa = hn::Shr(hn::ShiftRight<8>(with_first), hn::BitCast(du, hn::Max(hn::Neg(whole_bits), zero)));
  const VI factor = hn::IfThenElse(hn::Gt(whole_bits, most), hn::Set(di, 0xFFFF), hn::BitCast(di, mantissa));
  const VI power = hn::Shl(hn::Set(di, 1), hn::Min(hn::Max(whole_bits, zero), most));
  hn::Store(InBothHalves(factor), di, factors);
  hn::Store(InBothHalves(power), di, powers);
}

// Step by step over all rows, as QuantizeSomeHeads, and what belongs to a row for all rows at once.
void Softmax(const SoftmaxS16& s) {
  constexpr size_t kMaxRows = kRowVectors * kLanes;
  const DF d;
  const DI di;
  const D16 d16;
  const size_t stride = s.stride;
  const VI shift = hn::Set(di, s.score_shift);
  const VF score_unit = hn::Set(d, ScoreUnit(s));
  VI lanes[kMaxRows];
  VF unit[kRowVectors];
  HWY_ALIGN int32_t max[kMaxRows], factors[kMaxRows], powers[kMaxRows], narrowings[kMaxRows];
  for (size_t r = 0; r < s.rows; ++r) {
    lanes[r] = NarrowScores(s.scores + r * stride, shift, s.keys.parts, s.n, s.p + r * stride);
  }
  for (size_t r = s.rows; r < RoundUp(s.rows, kFolded); ++r) lanes[r] = hn::Zero(di);
  for (size_t v = 0; v * kLanes < s.rows; ++v) {
    const VI highest = FoldRows(lanes, v, s.rows, [](VI a, VI b) { return hn::Max(a, b); });
    const hn::RebindToUnsigned<DI> du;
    hn::Store(InBothHalves(hn::BitCast(di, hn::ShiftRight<16>(hn::BitCast(du, highest)))), di, max + v * kLanes);
    unit[v] = hn::Mul(score_unit, Part{std::min(s.rows - v * kLanes, kLanes)}.Load(d, s.queries + v * kLanes));
    StepsOf(unit[v], factors + v * kLanes, powers + v * kLanes);
  }
  for (size_t r = 0; r < s.rows; ++r) {
    lanes[r] = WeighScores({.max = max[r], .factor = factors[r], .two_to_whole_bits = powers[r]}, s.values.parts, s.n,
                           s.p + r * stride);
  }
  const bool is_whole = CanSumWhole(s.n);
  for (size_t v = 0; v * kLanes < s.rows; ++v) {
    const VF weights = hn::ConvertTo(d, FoldRows(lanes, v, s.rows, [](VI a, VI b) { return hn::Add(a, b); }));
    const VI narrowing = hn::ConvertTo(di, hn::Min(hn::Div(hn::Set(d, kNarrowing), weights), hn::Set(d, 32767.0f)));
    hn::Store(InBothHalves(narrowing), di, narrowings + v * kLanes);
    const VF times = is_whole ? hn::Set(d, 32768.0f) : hn::ConvertTo(d, narrowing);
    const VF factor = hn::Div(hn::Set(d, ValueUnit(s)), hn::Mul(weights, times));
    const VF nan = hn::Set(d, std::numeric_limits<float>::quiet_NaN());
    const auto is_number = hn::Le(unit[v], hn::Set(d, std::numeric_limits<float>::max()));
    Part{std::min(s.rows - v * kLanes, kLanes)}.Store(hn::IfThenElse(is_number, factor, nan), d,
                                                      s.factors + v * kLanes);
  }
  for (size_t r = 0; r < s.rows && !is_whole; ++r) {
    int16_t* const p = s.p + r * stride;
    const V16 narrowing = hn::BitCast(d16, hn::Set(di, narrowings[r]));
    for (size_t c = 0; c < s.n; c += kLanes16) {
      hn::StoreU(hn::MulFixedPoint15(hn::LoadU(d16, p + c), narrowing), d16, p + c);
    }
  }
}
#else  // the baseline target, which Highway compiles as well
void Softmax(const SoftmaxS16&) {}
#endif

template <class Size>
HWY_INLINE void ScaleRowsOf(Size n, const int32_t* x, const float* factors, size_t rows, float* y, size_t y_stride) {
  const DF d;
  const DI di;
  for (size_t r = 0; r < rows; ++r, x += n, y += y_stride) {
    const VF factor = hn::Set(d, factors[r]);
    ForEachVector(n, [&](size_t c, auto lanes) {
      lanes.Store(hn::Mul(hn::ConvertTo(d, lanes.Load(di, x + c)), factor), d, y + c);
    });
  }
}

void ScaleSums(const int32_t* x, const float* factors, size_t rows, size_t n, float* y, size_t y_stride) {
  WithKnownHeadDim(n, [&](auto size) { ScaleRowsOf(size, x, factors, rows, y, y_stride); });
}

// Unused in the baseline target, which Highway compiles as well.
[[maybe_unused]] constexpr IntegerAttentionKernels kIntegerAttention = {
    .quantize_heads_s16 = QuantizeHeads<int16_t>,
    .quantize_heads_s8 = QuantizeHeads<int8_t>,
    .quantize_heads_u8 = QuantizeHeads<uint8_t>,
    .interleave_rows = InterleaveRows,
    .relative_scales = RelativeScalesOf,
    .softmax = Softmax,
    .scale_sums = ScaleSums,
};

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace octet::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace octet::kernels {

const IntegerAttentionKernels& SimdIntegerAttention(Isa isa) {
  return isa == Isa::kAvx2 ? N_AVX2::kIntegerAttention : N_AVX3::kIntegerAttention;
}

}  // namespace octet::kernels
#endif
