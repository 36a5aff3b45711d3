// Activations of rows, once per target of simd_targets.h.
#if defined(OCTET_KERNELS_SIMD_ACTIVATIONS_INL_H_) == defined(HWY_TARGET_TOGGLE)  // included again for every target
#ifdef OCTET_KERNELS_SIMD_ACTIVATIONS_INL_H_
#undef OCTET_KERNELS_SIMD_ACTIVATIONS_INL_H_
#else
#define OCTET_KERNELS_SIMD_ACTIVATIONS_INL_H_
#endif

#include <cstddef>
#include <iterator>
#include <numbers>

#include "hwy/highway.h"
#include "kernels/gelu_short.h"
#include "kernels/simd_rows-inl.h"

HWY_BEFORE_NAMESPACE();
namespace octet::kernels {
namespace HWY_NAMESPACE {
namespace {

// erf(x / sqrt 2) = x P(u), u = 2 x^2 / 25 - 1, for |x| <= 5; beyond that it is +-1 to within 6e-7.
// P: least squares in Chebyshev points with the weight of the error in GELU, degree 12; evaluated in f32 the
// largest absolute error of GELU is 1.5e-6.
constexpr float kErfCoefficients[] = {
    0.28272756934165955f,   -0.14059330523014069f, 0.1030428409576416f,   -0.08086589723825455f,
    0.06285246461629868f,   -0.04667345806956291f, 0.03299529105424881f,  -0.02194647304713726f,
    0.012330901809036732f,  -0.00583133939653635f, 0.004003686364740133f, -0.0030283089727163315f,
    0.0009859491838142276f,
};

HWY_INLINE VF GeluErf(VF x) {
  const DF d;
  const VF one = hn::Set(d, 1.0f);
  const VF u = hn::MulSub(hn::Min(hn::Mul(x, x), hn::Set(d, 25.0f)), hn::Set(d, 2.0f / 25.0f), one);
  const VF u2 = hn::Mul(u, u), u4 = hn::Mul(u2, u2), u8 = hn::Mul(u4, u4);
  // Pairs, then pairs of pairs (Estrin 1960): half as many steps wait for each other as in Horner's order.
  const auto pair = [&](int i) {
    return hn::MulAdd(hn::Set(d, kErfCoefficients[i + 1]), u, hn::Set(d, kErfCoefficients[i]));
  };
  const auto quad = [&](int i) { return hn::MulAdd(pair(i + 2), u2, pair(i)); };
  const VF high = hn::MulAdd(hn::Set(d, kErfCoefficients[12]), u4, quad(8));
  const VF p = hn::MulAdd(high, u8, hn::MulAdd(quad(4), u4, quad(0)));
  const VF erf = hn::Max(hn::Min(hn::Mul(x, p), one), hn::Neg(one));
  const VF half_x = hn::Mul(hn::Set(d, 0.5f), x);
  return hn::MulAdd(half_x, erf, half_x);
}

void GeluErfRow(float* x, size_t n) {
  MapRow(x, n, x, [](VF v) { return GeluErf(v); });
}

// Of kCount vectors, in place, step by step: each waits for its own last step, of some ten.
template <size_t kCount>
HWY_INLINE void GeluErfShort(VF (&x)[kCount]) {
  const DF d;
  const VF bound = hn::Set(d, kShortGeluBound), half = hn::Set(d, 0.5f);
  VF t[kCount], squares[kCount], p[kCount];
  for (size_t i = 0; i < kCount; ++i) t[i] = hn::Min(bound, hn::Max(hn::Neg(bound), x[i]));
  for (size_t i = 0; i < kCount; ++i) squares[i] = hn::Mul(t[i], t[i]);
  for (size_t i = 0; i < kCount; ++i) p[i] = hn::Set(d, kShortGeluCoefficients[0]);
  for (size_t power = 1; power < std::size(kShortGeluCoefficients); ++power) {
    const VF coefficient = hn::Set(d, kShortGeluCoefficients[power]);
    for (size_t i = 0; i < kCount; ++i) p[i] = hn::MulAdd(p[i], squares[i], coefficient);
  }
  for (size_t i = 0; i < kCount; ++i) p[i] = hn::MulAdd(t[i], p[i], half);
  for (size_t i = 0; i < kCount; ++i) x[i] = hn::Mul(x[i], p[i]);
}

void GeluErfShortRow(float* x, size_t n) {
  constexpr size_t kCount = kLanes == 16 ? 4 : 2;  // as registers hold
  const DF d;
  size_t c = 0;
  for (; c + kCount * kLanes <= n; c += kCount * kLanes) {
    VF v[kCount];
    for (size_t i = 0; i < kCount; ++i) v[i] = hn::LoadU(d, x + c + i * kLanes);
    GeluErfShort(v);
    for (size_t i = 0; i < kCount; ++i) hn::StoreU(v[i], d, x + c + i * kLanes);
  }
  MapRow(x + c, n - c, x + c, [](VF v) {
    VF one[1] = {v};
    GeluErfShort(one);
    return one[0];
  });
}

// 0.5 (1 + tanh z) = 1 / (1 + exp(-2 z)).
HWY_INLINE VF GeluTanh(VF x) {
  const DF d;
  const VF cubic = hn::MulAdd(hn::Mul(hn::Mul(x, x), hn::Set(d, 0.044715f)), x, x);
  // Far from 0 the result is x or 0 in f32; the bound keeps Exp2 in its domain.
  const VF z =
      hn::Min(hn::Mul(cubic, hn::Set(d, -2.0f * 0.79788456f * std::numbers::log2e_v<float>)), hn::Set(d, 120.0f));
  return hn::Div(x, hn::Add(hn::Set(d, 1.0f), Exp2(z)));
}

void GeluTanhRow(float* x, size_t n) {
  MapRow(x, n, x, [](VF v) { return GeluTanh(v); });
}

void ReluRow(float* x, size_t n) {
  const DF d;
  // A select, not a maximum: a NaN must stay one.
  MapRow(x, n, x, [d](VF v) { return hn::IfThenElse(hn::Lt(v, hn::Zero(d)), hn::Zero(d), v); });
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace octet::kernels
HWY_AFTER_NAMESPACE();

#endif  // OCTET_KERNELS_SIMD_ACTIVATIONS_INL_H_
