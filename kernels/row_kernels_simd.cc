// Row kernels in Highway, compiled once per target of simd_targets.h. A row's bits are the same on every target.
#include "kernels/simd_targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/row_kernels_simd.cc"
#include "hwy/foreach_target.h"  // must come before highway.h

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <numbers>

#include "hwy/highway.h"
#include "kernels/simd_activations-inl.h"
#include "kernels/simd_kernels.h"
#include "kernels/simd_rows-inl.h"

HWY_BEFORE_NAMESPACE();
namespace octet::kernels {
namespace HWY_NAMESPACE {
namespace {

struct Range {
  float min, max;
  bool finite;
};

// A row as it is.
struct Plain {
  const float* x;
  template <class L>
  HWY_INLINE VF operator()(size_t c, L lanes) const {
    return lanes.Load(DF(), x + c);
  }
};

// A row times its factors.
struct Scaled {
  const float* x;
  const float* factors;
  template <class L>
  HWY_INLINE VF operator()(size_t c, L lanes) const {
    return hn::Mul(lanes.Load(DF(), x + c), lanes.Load(DF(), factors + c));
  }
};

// 0 * infinity and 0 * NaN are NaN, anything else is a zero: sums of this tell whether all values were finite.
HWY_INLINE VF AddPoison(VF v, VF poison) { return hn::MulAdd(v, hn::Zero(DF()), poison); }
HWY_INLINE bool IsClean(VF poison) { return hn::GetLane(hn::SumOfLanes(DF(), poison)) == 0.0f; }

// The ranges of rows, widened to hold 0, from their bits: as signed integers those of numbers above 0 are in order, as
// unsigned ones those of numbers below 0 are, after all others, by their distance from 0; in both orders infinities and NaN
// are last. Each maximum in two chains, because it waits for its predecessor. (Minima and maxima of floats took no longer, but a row
// of nothing else lowers the processor's clock.)
template <class Row>
HWY_INLINE void FindRanges(const Row& row, size_t rows, size_t n, Range* ranges) {
  constexpr size_t kChains = 2;
  constexpr uint32_t kInfinity = 0x7F800000, kSign = 0x80000000;
  const DI di;
  const hn::RebindToUnsigned<DI> du;
  VI highest[kFolded];
  hn::Vec<decltype(du)> lowest[kFolded];
  for (size_t r = 0; r < rows; ++r) {
    const auto values = row(r);
    VI above[kChains];
    hn::Vec<decltype(du)> below[kChains];
    for (size_t i = 0; i < kChains; ++i) above[i] = hn::Zero(di), below[i] = hn::Zero(du);
    const auto fold = [&](size_t chain, VF v) {
      above[chain] = hn::Max(above[chain], hn::BitCast(di, v));
      below[chain] = hn::Max(below[chain], hn::BitCast(du, v));
    };
    size_t c = 0;
    for (; c + kChains * kLanes <= n; c += kChains * kLanes) {
      for (size_t i = 0; i < kChains; ++i) fold(i, values(c + i * kLanes, Whole()));
    }
    for (; c + kLanes <= n; c += kLanes) fold(0, values(c, Whole()));
    if (c < n) fold(1, values(c, Part{n - c}));
    highest[r] = hn::Max(above[0], above[1]);
    lowest[r] = hn::Max(below[0], below[1]);
  }
  for (size_t r = rows; r < kFolded; ++r) highest[r] = hn::Zero(di), lowest[r] = hn::Zero(du);
  int32_t max[kFolded];
  uint32_t min[kFolded];
  MaxOfEach(di, highest, max);
  MaxOfEach(du, lowest, min);
  for (size_t r = 0; r < rows; ++r) {
    const bool is_finite = max[r] < static_cast<int32_t>(kInfinity) && min[r] < (kSign | kInfinity);
    ranges[r] = {min[r] < kSign ? 0.0f : std::bit_cast<float>(min[r]), std::bit_cast<float>(max[r]), is_finite};
  }
}

RowQuantization NotFinite(size_t n, uint8_t* q) {
  std::memset(q, 0, n);
  return {.scale = std::numeric_limits<float>::quiet_NaN(), .zero_point = 0};
}

// As the scalar reference.
HWY_INLINE RowQuantization QuantizationOfRange(RowRange kind, Range range) {
  if (kind == RowRange::kSymmetric) {
    if (range.max < -range.min) range.max = -range.min;
    range.min = -range.max;
  }
  float scale = range.max / 255.0f - range.min / 255.0f;
  if (scale < 1e-37f) scale = 1;
  if (kind == RowRange::kSymmetric) return {.scale = scale, .zero_point = 128};
  return {.scale = scale, .zero_point = static_cast<int32_t>(std::nearbyint(-range.min * (1.0f / scale)))};
}

// Over each row's own range, which no value exceeds: below 2^22 after scaling, as the rounding needs, and clipped by
// the narrowing where rounding passes 255. `row(r)` is row r's values.
template <class Row>
HWY_INLINE void QuantizeOwnRanges(const Row& row, size_t rows, RowRange kind, size_t n, uint8_t* q,
                                  RowQuantization* quantizations) {
  const DF d;
  const DI di;
  Range ranges[kMaxRowsAtOnce];
  FindRanges(row, rows, n, ranges);
  for (size_t r = 0; r < rows; ++r) quantizations[r] = QuantizationOfRange(kind, ranges[r]);
  for (size_t r = 0; r < rows; ++r, q += n) {
    if (!ranges[r].finite) {
      quantizations[r] = NotFinite(n, q);
      continue;
    }
    const auto values = row(r);
    const VF factor = hn::Set(d, 1.0f / quantizations[r].scale);
    const VF bias = hn::Set(d, kRoundingBias);
    const auto offset = hn::Set(di, quantizations[r].zero_point - std::bit_cast<int32_t>(kRoundingBias));
    NarrowRow(n, q, [&](size_t c, auto lanes) {
      const VF rounded = hn::MulAdd(values(c, lanes), factor, bias);
      return hn::Add(hn::BitCast(di, rounded), offset);
    });
  }
}

// Over a given range: one pass, which clips.
template <class Values>
HWY_INLINE RowQuantization QuantizeFixedRange(const Values& values, RowQuantization row, size_t n, uint8_t* q) {
  const DF d;
  const DI di;
  const VF factor = hn::Set(d, 1.0f / row.scale);
  const VF lowest = hn::Set(d, kRoundingBias - static_cast<float>(row.zero_point));
  const VF highest = hn::Set(d, kRoundingBias + static_cast<float>(255 - row.zero_point));
  const VF bias = hn::Set(d, kRoundingBias);
  const auto offset = hn::Set(di, row.zero_point - std::bit_cast<int32_t>(kRoundingBias));
  VF poison = hn::Zero(d);
  NarrowRow(n, q, [&](size_t c, auto lanes) {
    const VF v = values(c, lanes);
    poison = AddPoison(v, poison);
    const VF rounded = hn::Min(hn::Max(hn::MulAdd(v, factor, bias), lowest), highest);
    return hn::Add(hn::BitCast(di, rounded), offset);
  });
  return IsClean(poison) ? row : NotFinite(n, q);
}

template <class Row>
HWY_INLINE void Quantize(const Row& row, size_t rows, const RowQuantizer& quantizer, size_t n, uint8_t* q,
                         RowQuantization* quantizations) {
  if (quantizer.range == RowRange::kFixed) {
    for (size_t r = 0; r < rows; ++r) quantizations[r] = QuantizeFixedRange(row(r), quantizer.fixed, n, q + r * n);
  } else {
    QuantizeOwnRanges(row, rows, quantizer.range, n, q, quantizations);
  }
}

void QuantizeRowsU8(const float* x, size_t rows, const RowQuantizer& quantizer, size_t n, uint8_t* q,
                    RowQuantization* quantizations) {
  if (quantizer.factors == nullptr) {
    Quantize([x, n](size_t r) { return Plain{x + r * n}; }, rows, quantizer, n, q, quantizations);
  } else {
    const float* const factors = quantizer.factors;
    Quantize([x, n, factors](size_t r) { return Scaled{x + r * n, factors}; }, rows, quantizer, n, q, quantizations);
  }
}

// acc - zero point * sum, from (128 z, z) and the sum's pair.
HWY_INLINE VI Centre(VI acc, [[maybe_unused]] VI zero_point_pair, [[maybe_unused]] VI sum_pair) {
#if HWY_TARGET == HWY_SCALAR  // has no pairwise product, and is not used
  return acc;
#else
  const hn::Repartition<int16_t, DI> d16;
  VI unused = hn::Zero(DI());  // a second sum, which x86 needs not
  return hn::ReorderWidenMulAccumulate(DI(), hn::BitCast(d16, zero_point_pair), hn::BitCast(d16, sum_pair), acc,
                                       unused);
#endif
}

// What belongs to a column is read once for all rows.
template <size_t kRows>
HWY_INLINE void Dequantize(const int32_t* acc, const RowQuantization* quantizations, const DequantizeColumns& columns,
                           size_t n, float* y) {
  const DF d;
  const DI di;
  VF scale[kRows];
  VI zero_point[kRows];
  for (size_t r = 0; r < kRows; ++r) {
    scale[r] = hn::Set(d, quantizations[r].scale);
    zero_point[r] = hn::Set(di, ZeroPointPair(quantizations[r].zero_point));
  }
  ForEachVector(n, [&](size_t c, auto lanes) {
    const VI sums = lanes.Load(di, columns.column_sums + c);
    const VF weight_scales = lanes.Load(d, columns.weight_scales + c), bias = lanes.Load(d, columns.bias + c);
    for (size_t r = 0; r < kRows; ++r) {
      const VI centred = Centre(lanes.Load(di, acc + r * n + c), zero_point[r], sums);
      lanes.Store(hn::MulAdd(hn::ConvertTo(d, centred), hn::Mul(scale[r], weight_scales), bias), d, y + r * n + c);
    }
  });
}

void DequantizeRows(const int32_t* acc, const RowQuantization* quantizations, size_t rows,
                    const DequantizeColumns& columns, size_t n, float* y) {
  switch (rows) {
    case 4:
      Dequantize<4>(acc, quantizations, columns, n, y);
      break;
    case 3:
      Dequantize<3>(acc, quantizations, columns, n, y);
      break;
    case 2:
      Dequantize<2>(acc, quantizations, columns, n, y);
      break;
    default:
      Dequantize<1>(acc, quantizations, columns, n, y);
      break;
  }
}

void AddRow(const float* x, const float* bias, size_t n, float* y) {
  const DF d;
  ForEachVector(
      n, [&](size_t c, auto lanes) { lanes.Store(hn::Add(lanes.Load(d, x + c), lanes.Load(d, bias + c)), d, y + c); });
}

void LayerNormRows(const float* x, const float* residual, size_t rows, const LayerNormWeights& weights, size_t n,
                   float* y) {
  const DF d;
  const auto size = static_cast<float>(n);
  static_assert(kFolded == kMaxRowsAtOnce);
  VF lanes_of_sums[kFolded];
  float mean[kFolded], factor[kFolded];
  for (size_t r = 0; r < kFolded; ++r) lanes_of_sums[r] = hn::Zero(d);
  // add_residual(h, begin, c, lanes): of the row that begins there.
  const auto sum_rows = [&](const auto& add_residual) {
    for (size_t r = 0; r < rows; ++r) {
      const size_t begin = r * n;
      lanes_of_sums[r] = SumRowInLanes<kLongSums>(n, [&](size_t c, auto lanes, VF sums) OCTET_INLINE_LAMBDA {
        const VF h = add_residual(lanes.Load(d, x + begin + c), begin, c, lanes);
        lanes.Store(h, d, y + begin + c);
        return hn::Add(sums, h);
      });
    }
  };
  if (residual == nullptr) {
    sum_rows([](VF h, size_t, size_t, auto) OCTET_INLINE_LAMBDA { return h; });
  } else if (const float* const by = weights.residual_factors; by != nullptr) {
    sum_rows([d, residual, by](VF h, size_t begin, size_t c, auto lanes) OCTET_INLINE_LAMBDA {
      return hn::Add(h, hn::Mul(lanes.Load(d, residual + begin + c), lanes.Load(d, by + c)));
    });
  } else {
    sum_rows([d, residual](VF h, size_t begin, size_t c, auto lanes)
                 OCTET_INLINE_LAMBDA { return hn::Add(h, lanes.Load(d, residual + begin + c)); });
  }
  SumHalvesOfEach(lanes_of_sums, mean);
  for (float& m : mean) m /= size;
  for (size_t r = 0; r < rows; ++r) {
    const VF means = hn::Set(d, mean[r]);
    lanes_of_sums[r] = SumRowInLanes<kLongSums>(n, [&](size_t c, auto lanes, VF sums) OCTET_INLINE_LAMBDA {
      const VF h = lanes.ZeroUnused(hn::Sub(lanes.Load(d, y + r * n + c), means));
      return hn::MulAdd(h, h, sums);
    });
  }
  SumHalvesOfEach(lanes_of_sums, factor);
  for (float& f : factor) f = 1.0f / std::sqrt(f / size + weights.epsilon);
  const float *const gamma = weights.gamma, *const beta = weights.beta;
  VF means[kFolded], factors[kFolded];
  ForEachIndex<kFolded>([&](size_t r) { means[r] = hn::Set(d, mean[r]), factors[r] = hn::Set(d, factor[r]); });
  ForEachVector(n, [&](size_t c, auto lanes) {
    const VF by = lanes.Load(d, gamma + c), plus = lanes.Load(d, beta + c);
    ForEachIndex<kFolded>([&](size_t r) {
      float* const at = y + r * n + c;
      if (r >= rows) return;
      const VF h = hn::Mul(hn::Sub(lanes.Load(d, at), means[r]), factors[r]);
      lanes.Store(hn::MulAdd(h, by, plus), d, at);
    });
  });
}

float ExpRow(float* x, float scale, size_t n) {
  const DF d;
  VF max = hn::Set(d, x[0]);
  for (size_t c = 0; c + kLanes <= n; c += kLanes) max = hn::Max(max, hn::LoadU(d, x + c));
  float row_max = hn::GetLane(hn::MaxOfLanes(d, max));
  for (size_t c = n / kLanes * kLanes; c < n; ++c) row_max = row_max > x[c] ? row_max : x[c];
  return SumRow<kShortSums>(n, [d, x, row_max, scale](size_t c, auto lanes, VF sums) {
    const VF below = hn::Sub(lanes.Load(d, x + c), hn::Set(d, row_max));
    const VF e = lanes.ZeroUnused(Exp2(hn::Mul(below, hn::Set(d, scale * std::numbers::log2e_v<float>))));
    lanes.Store(e, d, x + c);
    return hn::Add(sums, e);
  });
}

void ScaleRow(float factor, float* x, size_t n) {
  const VF f = hn::Set(DF(), factor);
  MapRow(x, n, x, [f](VF v) { return hn::Mul(v, f); });
}

void MaxRow(const float* x, size_t n, float* y) {
  const DF d;
  ForEachVector(n, [&](size_t c, auto lanes) {
    const VF a = lanes.Load(d, x + c), b = lanes.Load(d, y + c);
    lanes.Store(hn::IfThenElse(hn::Or(hn::Gt(a, b), hn::IsNaN(a)), a, b), d, y + c);
  });
}

void F16ToF32Row(const uint16_t* x, size_t n, float* y) {
  const DF d;
  const hn::Rebind<hwy::float16_t, DF> d16;
  const hn::Rebind<uint16_t, DF> du16;
  ForEachVector(n, [&](size_t c, auto lanes) {
    lanes.Store(hn::PromoteTo(d, hn::BitCast(d16, lanes.Load(du16, x + c))), d, y + c);
  });
}

void F32ToF16Row(const float* x, size_t n, uint16_t* y) {
  const DF d;
  const hn::Rebind<hwy::float16_t, DF> d16;
  const hn::Rebind<uint16_t, DF> du16;
  ForEachVector(n, [&](size_t c, auto lanes) {
    lanes.Store(hn::BitCast(du16, hn::DemoteTo(d16, lanes.Load(d, x + c))), du16, y + c);
  });
}

#if HWY_TARGET != HWY_SCALAR
// 4 x 4 elements.
HWY_INLINE void TransposeTile(const float* src, size_t src_stride, float* dst, size_t dst_stride) {
  const hn::FixedTag<float, 4> d4;
  const auto a = hn::LoadU(d4, src), b = hn::LoadU(d4, src + src_stride);
  const auto c = hn::LoadU(d4, src + 2 * src_stride), e = hn::LoadU(d4, src + 3 * src_stride);
  const auto ab = hn::InterleaveLower(d4, a, b), ce = hn::InterleaveLower(d4, c, e);
  hn::StoreU(hn::ConcatLowerLower(d4, ce, ab), d4, dst);
  hn::StoreU(hn::ConcatUpperUpper(d4, ce, ab), d4, dst + dst_stride);
  const auto ab_upper = hn::InterleaveUpper(d4, a, b), ce_upper = hn::InterleaveUpper(d4, c, e);
  hn::StoreU(hn::ConcatLowerLower(d4, ce_upper, ab_upper), d4, dst + 2 * dst_stride);
  hn::StoreU(hn::ConcatUpperUpper(d4, ce_upper, ab_upper), d4, dst + 3 * dst_stride);
}
#endif

void Transpose(const float* src, size_t src_stride, size_t rows, size_t cols, float* dst, size_t dst_stride) {
  size_t whole_rows = 0, whole_cols = 0;
#if HWY_TARGET != HWY_SCALAR
  whole_rows = rows / 4 * 4;
  whole_cols = cols / 4 * 4;
  constexpr size_t kLineCols = 16;  // a cache line of the source is read as a whole
  for (size_t line = 0; line < whole_cols; line += kLineCols) {
    const size_t line_end = line + kLineCols < whole_cols ? line + kLineCols : whole_cols;
    for (size_t r = 0; r < whole_rows; r += 4) {
      for (size_t c = line; c < line_end; c += 4) {
        TransposeTile(src + r * src_stride + c, src_stride, dst + c * dst_stride + r, dst_stride);
      }
    }
  }
#endif
  for (size_t r = 0; r < rows; ++r) {
    for (size_t c = r < whole_rows ? whole_cols : 0; c < cols; ++c) {
      std::memcpy(dst + c * dst_stride + r, src + r * src_stride + c, sizeof(float));  // bits of whatever type
    }
  }
}

// Unused in the baseline target, which Highway compiles as well.
[[maybe_unused]] constexpr KernelTable kRowKernels = {
    .quantize_rows_u8 = QuantizeRowsU8,
    .dequantize_rows = DequantizeRows,
    .add_row = AddRow,
    .gelu_erf_row = GeluErfRow,
    .gelu_erf_short_row = GeluErfShortRow,
    .gelu_tanh_row = GeluTanhRow,
    .relu_row = ReluRow,
    .layer_norm_rows = LayerNormRows,
    .exp_row = ExpRow,
    .scale_row = ScaleRow,
    .max_row = MaxRow,
    .f16_to_f32_row = F16ToF32Row,
    .f32_to_f16_row = F32ToF16Row,
    .transpose = Transpose,
    .quantize_heads_s16 = nullptr,
    .quantize_heads_s8 = nullptr,
    .quantize_heads_u8 = nullptr,
    .interleave_rows_s16 = nullptr,
    .relative_scales = nullptr,
    .softmax_s16 = nullptr,
    .scale_s32_rows = nullptr,
    .gemm_f32 = nullptr,
    .gemm_s16 = nullptr,
    .gemm_u8s8_quads = nullptr,
    .gemm_f32_panel_cols = 0,
    .gemm_bf16 = nullptr,
    .f32_to_bf16_row = nullptr,
};

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace octet::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace octet::kernels {

const KernelTable& SimdRowKernels(Isa isa) { return isa == Isa::kAvx2 ? N_AVX2::kRowKernels : N_AVX3::kRowKernels; }

}  // namespace octet::kernels
#endif
