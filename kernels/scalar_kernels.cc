#include "kernels/scalar_kernels.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "base/rounding.h"
#include "kernels/softmax_s16.h"

namespace octet::kernels {
namespace {

// The scale and zero point of a row's own range [min, max], which holds 0.
RowQuantization QuantizationOfRange(RowRange kind, float min, float max) {
  if (kind == RowRange::kSymmetric) {
    max = std::max(max, -min);
    min = -max;
  }
  // Divided before the difference: the difference itself may overflow.
  float scale = max / 255.0f - min / 255.0f;
  // Below this 1 / scale would be infinite; such a row is zero for every purpose.
  if (scale < 1e-37f) scale = 1;
  if (kind == RowRange::kSymmetric) return {.scale = scale, .zero_point = 128};
  return {.scale = scale, .zero_point = static_cast<int32_t>(std::nearbyint(-min * (1.0f / scale)))};
}

RowQuantization QuantizeRowU8(const float* x, const RowQuantizer& quantizer, size_t n, uint8_t* q) {
  const auto value = [&](size_t c) { return quantizer.factors == nullptr ? x[c] : x[c] * quantizer.factors[c]; };
  float min = 0, max = 0;
  bool finite = true;
  for (size_t c = 0; c < n; ++c) {
    min = std::min(min, value(c));
    max = std::max(max, value(c));
    finite = finite && std::isfinite(value(c));
  }
  if (!finite) {
    std::fill(q, q + n, uint8_t{0});
    return {.scale = std::numeric_limits<float>::quiet_NaN(), .zero_point = 0};
  }
  const RowQuantization row =
      quantizer.range == RowRange::kFixed ? quantizer.fixed : QuantizationOfRange(quantizer.range, min, max);
  const float factor = 1.0f / row.scale;
  const double lowest = -row.zero_point, highest = 255 - row.zero_point;
  for (size_t c = 0; c < n; ++c) {
    const double exact = static_cast<double>(value(c)) * static_cast<double>(factor);
    const double clipped = std::clamp(exact, lowest, highest);
    q[c] = static_cast<uint8_t>(static_cast<int32_t>(std::nearbyint(clipped)) + row.zero_point);
  }
  return row;
}

void QuantizeRowsU8(const float* x, size_t rows, const RowQuantizer& quantizer, size_t n, uint8_t* q,
                    RowQuantization* quantizations) {
  for (size_t r = 0; r < rows; ++r) quantizations[r] = QuantizeRowU8(x + r * n, quantizer, n, q + r * n);
}

void DequantizeRows(const int32_t* acc, const RowQuantization* quantizations, size_t rows,
                    const DequantizeColumns& columns, size_t n, float* y) {
  for (size_t r = 0; r < rows; ++r, acc += n, y += n) {
    for (size_t c = 0; c < n; ++c) {
      const int32_t pair = columns.column_sums[c], sum = (pair >> 16) * 128 + (pair & 127);
      const auto centred = static_cast<float>(acc[c] - quantizations[r].zero_point * sum);
      y[c] = std::fma(centred, quantizations[r].scale * columns.weight_scales[c], columns.bias[c]);
    }
  }
}

void AddRow(const float* x, const float* bias, size_t n, float* y) {
  for (size_t c = 0; c < n; ++c) y[c] = x[c] + bias[c];
}

void GeluErfRow(float* x, size_t n) {
  for (size_t c = 0; c < n; ++c) x[c] = 0.5f * x[c] * (1.0f + std::erf(x[c] * 0.70710678f));
}

void GeluTanhRow(float* x, size_t n) {
  for (size_t c = 0; c < n; ++c) {
    const float inner = 0.79788456f * (x[c] + 0.044715f * x[c] * x[c] * x[c]);
    x[c] = 0.5f * x[c] * (1.0f + std::tanh(inner));
  }
}

void ReluRow(float* x, size_t n) {
  // Written so that a NaN stays one.
  for (size_t c = 0; c < n; ++c) x[c] = x[c] < 0 ? 0 : x[c];
}

void LayerNormRow(const float* x, const float* residual, const LayerNormWeights& weights, size_t n, float* y) {
  float sum = 0;
  for (size_t c = 0; c < n; ++c) {
    const float factor = weights.residual_factors == nullptr ? 1.0f : weights.residual_factors[c];
    y[c] = residual == nullptr ? x[c] : x[c] + residual[c] * factor;
    sum += y[c];
  }
  const float mean = sum / static_cast<float>(n);
  float squares = 0;
  for (size_t c = 0; c < n; ++c) squares += (y[c] - mean) * (y[c] - mean);
  const float factor = 1.0f / std::sqrt(squares / static_cast<float>(n) + weights.epsilon);
  for (size_t c = 0; c < n; ++c) y[c] = (y[c] - mean) * factor * weights.gamma[c] + weights.beta[c];
}

void LayerNormRows(const float* x, const float* residual, size_t rows, const LayerNormWeights& weights, size_t n,
                   float* y) {
  for (size_t r = 0; r < rows; ++r) {
    LayerNormRow(x + r * n, residual == nullptr ? nullptr : residual + r * n, weights, n, y + r * n);
  }
}

float ExpRow(float* x, float scale, size_t n) {
  float max = x[0];
  for (size_t c = 1; c < n; ++c) max = std::max(max, x[c]);
  float sum = 0;
  for (size_t c = 0; c < n; ++c) {
    x[c] = std::exp((x[c] - max) * scale);
    sum += x[c];
  }
  return sum;
}

void ScaleRow(float factor, float* x, size_t n) {
  for (size_t c = 0; c < n; ++c) x[c] *= factor;
}

void MaxRow(const float* x, size_t n, float* y) {
  for (size_t c = 0; c < n; ++c) y[c] = x[c] > y[c] || std::isnan(x[c]) ? x[c] : y[c];
}

// IEEE 754 binary16: 1 sign, 5 exponent (bias 15), 10 fraction bits.
float F16ToF32(uint16_t h) {
  const uint32_t sign = (h & 0x8000u) << 16, exponent = (h >> 10) & 0x1F, fraction = h & 0x3FFu;
  if (exponent == 0) {
    const float magnitude = std::ldexp(static_cast<float>(fraction), -24);
    return sign != 0 ? -magnitude : magnitude;
  }
  const uint32_t wide_exponent = exponent == 0x1F ? 0xFF : exponent + 112;
  return std::bit_cast<float>(sign | (wide_exponent << 23) | (fraction << 13));
}

// Adding a power of two whose last place is the wanted one lets the f32 adder round to nearest even.
uint16_t F32ToF16(float x) {
  const uint32_t bits = std::bit_cast<uint32_t>(x);
  const auto sign = static_cast<uint16_t>((bits >> 16) & 0x8000u);
  const float magnitude = std::abs(x);
  if (magnitude < 0x1p-14f) {                // subnormal: multiples of 2^-24
    const float shifted = magnitude + 0.5f;  // last place of [0.5, 1) is 2^-24
    return static_cast<uint16_t>(sign | (std::bit_cast<uint32_t>(shifted) - std::bit_cast<uint32_t>(0.5f)));
  }
  const uint32_t rounded = (bits & 0x7FFFFFFFu) + 0xFFFu + ((bits >> 13) & 1u);
  return static_cast<uint16_t>(sign | ((rounded >> 13) - (112u << 10)));
}

void F32ToF16Row(const float* x, size_t n, uint16_t* y) {
  for (size_t c = 0; c < n; ++c) y[c] = F32ToF16(x[c]);
}

void F16ToF32Row(const uint16_t* x, size_t n, float* y) {
  for (size_t c = 0; c < n; ++c) y[c] = F16ToF32(x[c]);
}

void Transpose(const float* src, size_t src_stride, size_t rows, size_t cols, float* dst, size_t dst_stride) {
  for (size_t c = 0; c < cols; ++c) {
    for (size_t r = 0; r < rows; ++r) std::memcpy(dst + c * dst_stride + r, src + r * src_stride + c, sizeof(float));
  }
}

// x * factor, rounded to a whole number once, by the addition of a power of two whose last place is 1 (kernels' bias).
float RoundProduct(float x, float factor) {
  constexpr float kBias = 12582912.0f;
  return std::fma(x, factor, kBias) - kBias;
}

// Returns the scale. offset: what q is above its integer.
template <typename T>
float QuantizeHead(const float* x, size_t n, float limit, int32_t offset, T* q) {
  float max = 0;
  bool finite = true;
  for (size_t c = 0; c < n; ++c) {
    max = std::max(max, std::abs(x[c]));
    finite = finite && std::isfinite(x[c]);
  }
  const bool usable = finite && max * (1.0f / limit) >= 1e-30f;
  const float factor = usable ? limit / max : 0.0f;
  for (size_t c = 0; c < n; ++c) {
    const float rounded = usable ? RoundProduct(x[c], factor) : 0.0f;
    q[c] = static_cast<T>(static_cast<int32_t>(rounded) + offset);
  }
  return !finite ? std::numeric_limits<float>::quiet_NaN() : usable ? max * (1.0f / limit) : kZeroHeadScale;
}

template <typename T>
void QuantizeHeads(const HeadRows<T>& h) {
  constexpr int32_t kOffset = std::is_same_v<T, uint8_t> ? kHeadOffsetU8 : 0;
  const size_t size = HeadSize<T>(h.head_dim);
  for (size_t r = 0; r < h.rows; ++r) {
    for (size_t head = 0; head < h.num_heads; ++head) {
      const size_t idx = r * h.num_heads + head;
      T* const q = h.q + idx * size;
      h.scales[head * h.scale_stride + r] = QuantizeHead(h.x + idx * h.head_dim, h.head_dim, h.limit, kOffset, q);
      std::fill(q + h.head_dim, q + size, static_cast<T>(kOffset));
    }
  }
}

void InterleaveRowsS16(const int16_t* src, size_t stride, size_t rows, size_t cols, int16_t* pairs) {
  for (size_t r = 0; r < (rows + 1) / 2 * 2; ++r) {
    for (size_t c = 0; c < cols; ++c) {
      pairs[(r / 2 * cols + c) * 2 + r % 2] = r < rows ? src[r * stride + c] : int16_t{0};
    }
  }
}

float RelativeScalesOf(const float* scales, size_t n, int16_t* parts) {
  int32_t max_bits = 0;  // a NaN's are above those of all numbers
  for (size_t j = 0; j < n; ++j) max_bits = std::max(max_bits, std::bit_cast<int32_t>(scales[j]));
  const float largest = std::bit_cast<float>(max_bits), factor = kWholeScale / largest;
  for (size_t j = 0; j < RoundUp(n, kScoreCols); ++j) {
    const float rounded = j < n ? RoundProduct(scales[j], factor) : 0.0f;
    parts[j] = std::isnan(rounded) ? int16_t{0} : static_cast<int16_t>(rounded);
  }
  return largest;
}

int32_t MulHigh(uint32_t a, uint32_t b) { return static_cast<int32_t>(a * b >> 16); }
int16_t MulRounded(int32_t a, int32_t b) { return static_cast<int16_t>((a * b + (1 << 14)) >> 15); }

// As softmax_s16.h says.
struct ScoreSteps {
  uint16_t factor, two_to_whole_bits;
};

ScoreSteps StepsOf(float unit) {
  constexpr int kMantissaBits = 23;
  const auto bits = std::bit_cast<uint32_t>(unit);
  const int whole_bits = static_cast<int>(bits >> kMantissaBits) - 127 + 17;
  const uint32_t mantissa =
      ((bits & ((1u << kMantissaBits) - 1)) | (1u << kMantissaBits)) >> 8;  // 16 bits, the first is 1
  if (whole_bits > kMaxWholeBits) return {0xFFFF, 1u << kMaxWholeBits};
  if (whole_bits >= 0) return {static_cast<uint16_t>(mantissa), static_cast<uint16_t>(1u << whole_bits)};
  return {static_cast<uint16_t>(whole_bits > -16 ? mantissa >> -whole_bits : 0), 1};
}

void SoftmaxS16Rows(const SoftmaxS16& s) {
  for (size_t r = 0; r < s.rows; ++r) {
    int16_t* const p = s.p + r * s.stride;
    int16_t max = INT16_MIN;
    for (size_t j = 0; j < s.n; ++j) {
      const auto high = static_cast<int16_t>((s.scores[r * s.stride + j] << s.score_shift) >> 16);
      p[j] = MulRounded(high, s.keys.parts[j]);
      max = std::max(max, p[j]);
    }
    const float unit = ScoreUnit(s) * s.queries[r];
    const ScoreSteps steps = StepsOf(unit);
    int32_t sum = 0;
    for (size_t j = 0; j < s.n; ++j) {
      const auto t = static_cast<uint32_t>(MulHigh(static_cast<uint32_t>(max - p[j]), steps.factor));
      const uint32_t f = t * steps.two_to_whole_bits & 0xFFFFu;
      const int32_t whole = MulHigh(t, steps.two_to_whole_bits);
      int32_t y = kPowerCoefficients[3];
      for (int i = 2; i >= 0; --i) y = kPowerCoefficients[i] - MulHigh(f, static_cast<uint32_t>(y));
      const int32_t weight = whole < 16 ? ((y >> whole) + 1) >> 1 : 0;
      sum += weight;
      p[j] = MulRounded(weight, s.values.parts[j]);
    }
    const auto weights = static_cast<float>(sum);
    const auto narrowing = static_cast<int32_t>(std::min(kNarrowing / weights, 32767.0f));
    const bool is_whole = CanSumWhole(s.n);
    s.factors[r] = unit <= std::numeric_limits<float>::max()
                       ? ValueUnit(s) / (weights * (is_whole ? 32768.0f : static_cast<float>(narrowing)))
                       : std::numeric_limits<float>::quiet_NaN();
    for (size_t j = 0; j < s.n && !is_whole; ++j) p[j] = MulRounded(p[j], narrowing);
    std::fill(p + s.n, p + RoundUp(s.n, kScoreCols), int16_t{0});
  }
}

void ScaleS32Rows(const int32_t* x, const float* factors, size_t rows, size_t n, float* y, size_t y_stride) {
  for (size_t r = 0; r < rows; ++r) {
    for (size_t c = 0; c < n; ++c) y[r * y_stride + c] = static_cast<float>(x[r * n + c]) * factors[r];
  }
}

void GemmF32Scalar(const GemmF32& g) {
  for (size_t r = 0; r < g.rows; ++r) {
    float* c = g.c + r * g.ldc;
    std::fill(c, c + g.cols, 0.0f);
    for (size_t k = 0; k < g.depth; ++k) {
      const float a = g.a[r * g.lda + k];
      const float* b = g.b + k * g.ldb;
      for (size_t j = 0; j < g.cols; ++j) c[j] += a * b[j];
    }
  }
}

void GemmS16Scalar(const GemmS16& g) {
  const auto half = [](int32_t pair, int index) { return std::bit_cast<std::array<int16_t, 2>>(pair)[index]; };
  for (size_t r = 0; r < g.rows; ++r) {
    for (size_t j = 0; j < g.cols; ++j) {
      int32_t sum = 0;
      for (size_t k = 0; k < g.depth; ++k) {
        const int32_t a = g.a[r * g.lda + k], b = g.b[k * g.ldb + j];
        sum += half(a, 0) * half(b, 0) + half(a, 1) * half(b, 1);
      }
      g.c[r * g.ldc + j] = sum;
    }
  }
}

void GemmU8S8QuadsScalar(const GemmU8S8Quads& g) {
  using U8 = std::array<uint8_t, 4>;
  using S8 = std::array<int8_t, 4>;
  for (size_t r = 0; r < g.rows; ++r) {
    for (size_t j = 0; j < g.cols; ++j) {
      int32_t sum = g.less == nullptr ? 0 : -g.less[j];
      for (size_t k = 0; k < g.depth; ++k) {
        const auto a = std::bit_cast<U8>(g.a[r * g.lda + k]);
        const auto b = std::bit_cast<S8>(g.b[k * g.ldb + j]);
        for (size_t i = 0; i < 4; ++i) sum += a[i] * b[i];
      }
      g.c[r * g.ldc + j] = sum;
    }
  }
}

float Bf16ToF32(uint16_t b) { return std::bit_cast<float>(static_cast<uint32_t>(b) << 16); }

void GemmBf16Scalar(const GemmBf16& g) {
  for (size_t r = 0; r < g.rows; ++r) {
    for (size_t j = 0; j < g.cols; ++j) {
      float sum = 0;
      for (size_t k = 0; k < g.depth; ++k) {
        const uint16_t b = g.b[(k / 2) * kBf16PanelCols * 2 + j * 2 + k % 2];
        sum += Bf16ToF32(g.a[r * g.lda + k]) * Bf16ToF32(b);
      }
      g.c[r * g.ldc + j] = sum;
    }
  }
}

void F32ToBf16Row(const float* x, size_t n, uint16_t* y) {
  for (size_t c = 0; c < n; ++c) {
    const uint32_t bits = std::bit_cast<uint32_t>(x[c]);
    if (std::isnan(x[c])) {
      y[c] = static_cast<uint16_t>((bits >> 16) | 0x40u);  // quiet, whatever the payload
    } else if ((bits & 0x7F800000u) == 0) {
      y[c] = static_cast<uint16_t>((bits >> 16) & 0x8000u);  // denormals are zero, as VCVTNEPS2BF16
    } else {
      y[c] = static_cast<uint16_t>((bits + 0x7FFFu + ((bits >> 16) & 1u)) >> 16);
    }
  }
}

}  // namespace

const KernelTable& ScalarKernels() {
  static constexpr KernelTable table = {
      .quantize_rows_u8 = QuantizeRowsU8,
      .dequantize_rows = DequantizeRows,
      .add_row = AddRow,
      .gelu_erf_row = GeluErfRow,
      .gelu_erf_short_row = GeluErfRow,
      .gelu_tanh_row = GeluTanhRow,
      .relu_row = ReluRow,
      .layer_norm_rows = LayerNormRows,
      .exp_row = ExpRow,
      .scale_row = ScaleRow,
      .max_row = MaxRow,
      .f16_to_f32_row = F16ToF32Row,
      .f32_to_f16_row = F32ToF16Row,
      .transpose = Transpose,
      .quantize_heads_s16 = QuantizeHeads<int16_t>,
      .quantize_heads_s8 = QuantizeHeads<int8_t>,
      .quantize_heads_u8 = QuantizeHeads<uint8_t>,
      .interleave_rows_s16 = InterleaveRowsS16,
      .relative_scales = RelativeScalesOf,
      .softmax_s16 = SoftmaxS16Rows,
      .scale_s32_rows = ScaleS32Rows,
      .gemm_f32 = GemmF32Scalar,
      .gemm_s16 = GemmS16Scalar,
      .gemm_u8s8_quads = GemmU8S8QuadsScalar,
      .gemm_f32_panel_cols = 64,
      .gemm_bf16 = GemmBf16Scalar,
      .f32_to_bf16_row = F32ToBf16Row,
  };
  return table;
}

void MatmulU8S8Scalar(const uint8_t* a, const int8_t* b, size_t rows, size_t cols, size_t depth, int32_t* c) {
  for (size_t r = 0; r < rows; ++r) {
    for (size_t j = 0; j < cols; ++j) {
      int32_t sum = 0;
      for (size_t k = 0; k < depth; ++k) sum += int32_t{a[r * depth + k]} * b[j * depth + k];
      c[r * cols + j] = sum;
    }
  }
}

}  // namespace octet::kernels
