// Row kernels in Highway, compiled once per target of simd_targets.h. Every loop has one path: the last,
// partial vector is loaded with zeros in its unused lanes and stored under a mask. Sums are taken in sixteen
// lanes whatever the vector's length: a row's bits are the same on every target.
#include "kernels/simd_targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/row_kernels_simd.cc"
#include "hwy/foreach_target.h"  // must come before highway.h

#include <cmath>
#include <cstring>
#include <limits>

#include "hwy/highway.h"
#include "kernels/simd_kernels.h"

HWY_BEFORE_NAMESPACE();
namespace octet::kernels {
namespace HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

using DF = hn::ScalableTag<float>;
using DI = hn::ScalableTag<int32_t>;
using VF = hn::Vec<DF>;

size_t Lanes() { return hn::Lanes(DF()); }

// Loads min(count, lanes) elements, zero in the rest.
template <class D, typename T = hn::TFromD<D>>
HWY_INLINE hn::Vec<D> LoadUpTo(D d, const T* p, size_t count) {
  return count >= hn::Lanes(d) ? hn::LoadU(d, p) : hn::MaskedLoad(hn::FirstN(d, count), d, p);
}

HWY_INLINE void StoreUpTo(VF v, float* p, size_t count) {
  const DF d;
  if (count >= hn::Lanes(d)) {
    hn::StoreU(v, d, p);
  } else {
    hn::BlendedStore(v, hn::FirstN(d, count), d, p);
  }
}

// y[c] = f(x[c]) over a row.
template <class F>
HWY_INLINE void MapRow(const float* x, size_t n, float* y, const F& f) {
  const DF d;
  for (size_t c = 0; c < n; c += Lanes()) StoreUpTo(f(LoadUpTo(d, x + c, n - c)), y + c, n - c);
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

// Folds [0, n) into sixteen running sums, however many vectors they take: lane l has elements l, l + 16, l + 32
// and so on, in that order. fold(begin, left, sum) returns `sum` with the elements at `begin` folded in, of which
// `left` are left.
template <class F>
HWY_INLINE float SumRow(size_t n, const F& fold) {
  constexpr size_t kSums = 16, kLanes = hn::MaxLanes(DF()), kVectors = kSums / kLanes;
  const DF d;
  VF sums[kVectors];
  for (size_t v = 0; v < kVectors; ++v) sums[v] = hn::Zero(d);
  for (size_t c = 0; c < n; c += kSums) {
    for (size_t v = 0; v < kVectors; ++v) {
      const size_t begin = c + v * kLanes;
      if (begin < n) sums[v] = fold(begin, n - begin, sums[v]);
    }
  }
  for (size_t step = kVectors / 2; step > 0; step /= 2) {
    for (size_t v = 0; v < step; ++v) sums[v] = hn::Add(sums[v], sums[v + step]);
  }
  return SumHalves(d, sums[0]);
}

struct Range {
  float min, max;
  bool finite;
};

HWY_INLINE Range FindRange(const float* x, size_t n) {
  const DF d;
  VF min = hn::Zero(d), max = hn::Zero(d), poison = hn::Zero(d);
  for (size_t c = 0; c < n; c += Lanes()) {
    const VF v = LoadUpTo(d, x + c, n - c);
    min = hn::Min(min, v);
    max = hn::Max(max, v);
    poison = hn::MulAdd(v, hn::Zero(d), poison);  // 0 * infinity and 0 * NaN are NaN
  }
  return {hn::GetLane(hn::MinOfLanes(d, min)), hn::GetLane(hn::MaxOfLanes(d, max)),
          hn::GetLane(hn::SumOfLanes(d, poison)) == 0.0f};
}

RowQuantization QuantizeRowU8(const float* x, size_t n, uint8_t* q) {
  const DF d;
  const DI di;
  const hn::Rebind<uint8_t, DF> du8;
  const Range range = FindRange(x, n);
  if (!range.finite) {
    std::memset(q, 0, n);
    return {.scale = std::numeric_limits<float>::quiet_NaN(), .zero_point = 0};
  }
  float scale = range.max / 255.0f - range.min / 255.0f;
  if (scale < 1e-37f) scale = 1;  // as the scalar reference
  const float factor = 1.0f / scale;
  const int32_t zero_point = static_cast<int32_t>(std::nearbyint(-range.min * factor));
  const VF vfactor = hn::Set(d, factor);
  const auto vzero_point = hn::Set(di, zero_point);
  const auto quantize = [&](VF v) {
    return hn::DemoteTo(du8, hn::Add(hn::NearestInt(hn::Mul(v, vfactor)), vzero_point));
  };
  size_t c = 0;
  for (; c + Lanes() <= n; c += Lanes()) hn::StoreU(quantize(hn::LoadU(d, x + c)), du8, q + c);
  if (c < n) {
    HWY_ALIGN uint8_t last[HWY_MAX_BYTES / sizeof(float)];
    hn::Store(quantize(LoadUpTo(d, x + c, n - c)), du8, last);
    std::memcpy(q + c, last, n - c);
  }
  return {.scale = scale, .zero_point = zero_point};
}

void DequantizeRow(const int32_t* acc, RowQuantization row, const DequantizeColumns& columns, size_t n,
                   float* y) {
  const DF d;
  const DI di;
  const VF scale = hn::Set(d, row.scale);
  const auto zero_point = hn::Set(di, row.zero_point);
  for (size_t c = 0; c < n; c += Lanes()) {
    const size_t left = n - c;
    const auto sums = LoadUpTo(di, columns.column_sums + c, left);
    const auto centred = hn::Sub(LoadUpTo(di, acc + c, left), hn::Mul(zero_point, sums));
    const VF scales = hn::Mul(scale, LoadUpTo(d, columns.weight_scales + c, left));
    const VF bias = LoadUpTo(d, columns.bias + c, left);
    StoreUpTo(hn::MulAdd(hn::ConvertTo(d, centred), scales, bias), y + c, left);
  }
}

void AddRow(const float* x, const float* bias, size_t n, float* y) {
  const DF d;
  for (size_t c = 0; c < n; c += Lanes()) {
    StoreUpTo(hn::Add(LoadUpTo(d, x + c, n - c), LoadUpTo(d, bias + c, n - c)), y + c, n - c);
  }
}

// erf(x / sqrt 2) = x P(u), u = 2 x^2 / 25 - 1, for |x| <= 5; beyond that it is +-1 to within 6e-7.
// P: least squares in Chebyshev points with the weight of the error in GELU, degree 12; with f32 Horner
// evaluation the largest absolute error of GELU is 9.1e-7.
constexpr float kErfCoefficients[] = {
    0.28272756934165955f,   -0.14059330523014069f,  0.1030428409576416f,   -0.08086589723825455f,
    0.06285246461629868f,   -0.04667345806956291f,  0.03299529105424881f,  -0.02194647304713726f,
    0.012330901809036732f,  -0.00583133939653635f,  0.004003686364740133f, -0.0030283089727163315f,
    0.0009859491838142276f,
};

HWY_INLINE VF GeluErf(VF x) {
  const DF d;
  const VF one = hn::Set(d, 1.0f);
  const VF u = hn::MulSub(hn::Min(hn::Mul(x, x), hn::Set(d, 25.0f)), hn::Set(d, 2.0f / 25.0f), one);
  VF p = hn::Set(d, kErfCoefficients[12]);
  for (int i = 11; i >= 0; --i) p = hn::MulAdd(p, u, hn::Set(d, kErfCoefficients[i]));
  const VF erf = hn::Max(hn::Min(hn::Mul(x, p), one), hn::Neg(one));
  const VF half_x = hn::Mul(hn::Set(d, 0.5f), x);
  return hn::MulAdd(half_x, erf, half_x);
}

void GeluErfRow(float* x, size_t n) { MapRow(x, n, x, GeluErf); }

// exp(x) for x <= 88: x = k ln 2 + r, |r| <= ln 2 / 2, polynomial in r. Coefficients: Cephes expf, S. L.
// Moshier; relative error below 2e-7. Below -87.3 it is taken there, above the smallest normal number.
HWY_INLINE VF Exp(VF x) {
  const DF d;
  const DI di;
  x = hn::Max(hn::Set(d, -87.3f), x);  // in this order x86 keeps a NaN in x
  const VF k = hn::Round(hn::Mul(x, hn::Set(d, 1.44269504f)));
  VF r = hn::NegMulAdd(k, hn::Set(d, 0.693359375f), x);
  r = hn::NegMulAdd(k, hn::Set(d, -2.12194440e-4f), r);
  VF p = hn::Set(d, 1.9875691500e-4f);
  p = hn::MulAdd(p, r, hn::Set(d, 1.3981999507e-3f));
  p = hn::MulAdd(p, r, hn::Set(d, 8.3334519073e-3f));
  p = hn::MulAdd(p, r, hn::Set(d, 4.1665795894e-2f));
  p = hn::MulAdd(p, r, hn::Set(d, 1.6666665459e-1f));
  p = hn::MulAdd(p, r, hn::Set(d, 5.0000001201e-1f));
  const VF e = hn::Add(hn::MulAdd(hn::Mul(r, r), p, r), hn::Set(d, 1.0f));
  const auto power = hn::ShiftLeft<23>(hn::Add(hn::ConvertTo(di, k), hn::Set(di, 127)));
  return hn::Mul(e, hn::BitCast(d, power));
}

// 0.5 (1 + tanh z) = 1 / (1 + exp(-2 z)).
HWY_INLINE VF GeluTanh(VF x) {
  const DF d;
  const VF cubic = hn::MulAdd(hn::Mul(hn::Mul(x, x), hn::Set(d, 0.044715f)), x, x);
  // Beyond +-40 the result is x or 0 in f32; the bound keeps Exp in its domain.
  const VF z = hn::Max(hn::Min(hn::Mul(cubic, hn::Set(d, -2.0f * 0.79788456f)), hn::Set(d, 80.0f)),
                       hn::Set(d, -80.0f));
  return hn::Div(x, hn::Add(hn::Set(d, 1.0f), Exp(z)));
}

void GeluTanhRow(float* x, size_t n) { MapRow(x, n, x, GeluTanh); }

void ReluRow(float* x, size_t n) {
  const DF d;
  // A select, not a maximum: a NaN must stay one.
  MapRow(x, n, x, [d](VF v) { return hn::IfThenElse(hn::Lt(v, hn::Zero(d)), hn::Zero(d), v); });
}

void LayerNormRow(const float* x, const float* residual, const LayerNormWeights& weights, size_t n,
                  float* y) {
  const DF d;
  const float sum = SumRow(n, [&](size_t c, size_t left, VF sums) {
    VF h = LoadUpTo(d, x + c, left);
    if (residual != nullptr) h = hn::Add(h, LoadUpTo(d, residual + c, left));
    StoreUpTo(h, y + c, left);
    return hn::Add(sums, h);
  });
  const VF mean = hn::Set(d, sum / static_cast<float>(n));
  const float squares = SumRow(n, [&](size_t c, size_t left, VF sums) {
    VF h = hn::Sub(LoadUpTo(d, y + c, left), mean);
    if (left < Lanes()) h = hn::IfThenElseZero(hn::FirstN(d, left), h);
    return hn::MulAdd(h, h, sums);
  });
  const float variance = squares / static_cast<float>(n);
  const VF factor = hn::Set(d, 1.0f / std::sqrt(variance + weights.epsilon));
  for (size_t c = 0; c < n; c += Lanes()) {
    const VF h = hn::Mul(hn::Sub(LoadUpTo(d, y + c, n - c), mean), factor);
    const VF gamma = LoadUpTo(d, weights.gamma + c, n - c);
    StoreUpTo(hn::MulAdd(h, gamma, LoadUpTo(d, weights.beta + c, n - c)), y + c, n - c);
  }
}

float ExpRow(float* x, float scale, size_t n) {
  const DF d;
  VF max = hn::Set(d, x[0]);
  for (size_t c = 0; c + Lanes() <= n; c += Lanes()) max = hn::Max(max, hn::LoadU(d, x + c));
  float row_max = hn::GetLane(hn::MaxOfLanes(d, max));
  for (size_t c = n / Lanes() * Lanes(); c < n; ++c) row_max = row_max > x[c] ? row_max : x[c];
  const VF vmax = hn::Set(d, row_max), vscale = hn::Set(d, scale);
  return SumRow(n, [&](size_t c, size_t left, VF sums) {
    VF e = Exp(hn::Mul(hn::Sub(LoadUpTo(d, x + c, left), vmax), vscale));
    if (left < Lanes()) e = hn::IfThenElseZero(hn::FirstN(d, left), e);
    StoreUpTo(e, x + c, left);
    return hn::Add(sums, e);
  });
}

void ScaleRow(float factor, float* x, size_t n) {
  const VF f = hn::Set(DF(), factor);
  MapRow(x, n, x, [f](VF v) { return hn::Mul(v, f); });
}

void MaxRow(const float* x, size_t n, float* y) {
  const DF d;
  for (size_t c = 0; c < n; c += Lanes()) {
    const VF a = LoadUpTo(d, x + c, n - c), b = LoadUpTo(d, y + c, n - c);
    const auto take = hn::Or(hn::Gt(a, b), hn::IsNaN(a));
    StoreUpTo(hn::IfThenElse(take, a, b), y + c, n - c);
  }
}

void F16ToF32Row(const uint16_t* x, size_t n, float* y) {
  const DF d;
  const hn::Rebind<hwy::float16_t, DF> d16;
  const hn::Rebind<uint16_t, DF> du16;
  size_t c = 0;
  for (; c + Lanes() <= n; c += Lanes()) {
    hn::StoreU(hn::PromoteTo(d, hn::BitCast(d16, hn::LoadU(du16, x + c))), d, y + c);
  }
  if (c < n) {
    HWY_ALIGN uint16_t last[HWY_MAX_BYTES / sizeof(float)] = {};
    std::memcpy(last, x + c, (n - c) * sizeof(uint16_t));
    StoreUpTo(hn::PromoteTo(d, hn::BitCast(d16, hn::Load(du16, last))), y + c, n - c);
  }
}

void F32ToF16Row(const float* x, size_t n, uint16_t* y) {
  const DF d;
  const hn::Rebind<hwy::float16_t, DF> d16;
  const hn::Rebind<uint16_t, DF> du16;
  for (size_t c = 0; c < n; c += Lanes()) {
    const auto half = hn::BitCast(du16, hn::DemoteTo(d16, LoadUpTo(d, x + c, n - c)));
    if (c + Lanes() <= n) {
      hn::StoreU(half, du16, y + c);
    } else {
      HWY_ALIGN uint16_t last[HWY_MAX_BYTES / sizeof(float)];
      hn::Store(half, du16, last);
      std::memcpy(y + c, last, (n - c) * sizeof(uint16_t));
    }
  }
}

void Transpose(const float* src, size_t src_stride, size_t rows, size_t cols, float* dst,
               size_t dst_stride) {
  const DF d;
  const DI di;
  const auto strides = hn::Mul(hn::Iota(di, 0), hn::Set(di, static_cast<int32_t>(src_stride)));
  size_t r = 0;
  for (; r + Lanes() <= rows; r += Lanes()) {
    for (size_t c = 0; c < cols; ++c) {
      hn::StoreU(hn::GatherIndex(d, src + r * src_stride + c, strides), d, dst + c * dst_stride + r);
    }
  }
  for (; r < rows; ++r) {
    for (size_t c = 0; c < cols; ++c) dst[c * dst_stride + r] = src[r * src_stride + c];
  }
}

// Unused in the baseline target, which Highway compiles as well.
[[maybe_unused]] constexpr KernelTable kRowKernels = {
    .quantize_row_u8 = QuantizeRowU8,
    .dequantize_row = DequantizeRow,
    .add_row = AddRow,
    .gelu_erf_row = GeluErfRow,
    .gelu_tanh_row = GeluTanhRow,
    .relu_row = ReluRow,
    .layer_norm_row = LayerNormRow,
    .exp_row = ExpRow,
    .scale_row = ScaleRow,
    .max_row = MaxRow,
    .f16_to_f32_row = F16ToF32Row,
    .f32_to_f16_row = F32ToF16Row,
    .transpose = Transpose,
    .gemm_f32 = nullptr,
    .gemm_bf16 = nullptr,
    .f32_to_bf16_row = nullptr,
};

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace octet::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace octet::kernels {

const KernelTable& SimdRowKernels(Isa isa) {
  return isa == Isa::kAvx2 ? N_AVX2::kRowKernels : N_AVX3::kRowKernels;
}

}  // namespace octet::kernels
#endif
