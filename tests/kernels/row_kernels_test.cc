// Every row kernel of every level this machine has, against the plain reference, with every tail length.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "tests/kernels/kernel_table_test.h"
#include "tests/kernels/test_matrix.h"

namespace octet::kernels {
namespace {

class RowKernelsTest : public KernelTableTest {};

INSTANTIATE_TEST_SUITE_P(Isas, RowKernelsTest, testing::ValuesIn(SupportedIsas()), NameOfLevel);

// The ways of quantizing a row; with factors, they are powers of two and others from 0.02 to 30.
std::vector<RowQuantizer> Quantizers(size_t cols, std::vector<float>* factors) {
  *factors = RandomFloats(cols, cols + 9);
  for (size_t c = 0; c < cols; ++c) (*factors)[c] = c % 3 == 0 ? 0.5f : std::exp((*factors)[c]);
  std::vector<RowQuantizer> quantizers;
  for (const float* const each : {static_cast<const float*>(nullptr), static_cast<const float*>(factors->data())}) {
    quantizers.push_back({.range = RowRange::kAsymmetric, .fixed = {}, .factors = each});
    quantizers.push_back({.range = RowRange::kSymmetric, .fixed = {}, .factors = each});
    // The second clips nearly everything, on both sides.
    for (const RowQuantization fixed : {RowQuantization{0.05f, 131}, RowQuantization{0.002f, 0}}) {
      quantizers.push_back({.range = RowRange::kFixed, .fixed = fixed, .factors = each});
    }
  }
  return quantizers;
}

RowQuantization QuantizeRow(const KernelTable& kernels, const std::vector<float>& x, const RowQuantizer& quantizer,
                            uint8_t* q) {
  RowQuantization row;
  kernels.quantize_rows_u8(x.data(), 1, quantizer, x.size(), q, &row);
  return row;
}

void ExpectSameQuantization(const KernelTable& kernels, const RowQuantizer& quantizer, const std::vector<float>& x) {
  std::vector<uint8_t> expected(x.size() + 1, 77), actual(x.size() + 1, 77);
  const RowQuantization want = QuantizeRow(ScalarKernels(), x, quantizer, expected.data());
  const RowQuantization got = QuantizeRow(kernels, x, quantizer, actual.data());
  EXPECT_EQ(actual, expected) << "cols=" << x.size();  // the byte past the end included
  if (std::isnan(want.scale)) {
    EXPECT_TRUE(std::isnan(got.scale));
  } else {
    EXPECT_EQ(got.scale, want.scale);
  }
  EXPECT_EQ(got.zero_point, want.zero_point);
}

void ExpectSameQuantization(const KernelTable& kernels, const std::vector<float>& x) {
  std::vector<float> factors;
  for (const RowQuantizer& quantizer : Quantizers(x.size(), &factors)) ExpectSameQuantization(kernels, quantizer, x);
}

TEST_P(RowKernelsTest, QuantizeRowU8IsBitEqualForEveryTailLength) {
  for (size_t cols = 1; cols <= kMaxCols; ++cols) ExpectSameQuantization(kernels_, RandomFloats(cols, cols, 3));
}

TEST_P(RowKernelsTest, QuantizeRowU8HandlesOneSidedHugeTinyAndZeroRows) {
  for (const float v : {0.0f, 1.0f, -1.0f, 3e38f, -3e38f, 1e-38f, 1e-45f, 65504.0f}) {
    ExpectSameQuantization(kernels_, std::vector<float>(37, v));
  }
  std::vector<float> both(37, 3e38f);
  both[5] = -3e38f;
  ExpectSameQuantization(kernels_, both);
  std::vector<uint8_t> q(37);
  const RowQuantization zero = QuantizeRow(kernels_, std::vector<float>(37, 0), {}, q.data());
  EXPECT_EQ(zero.scale, 1.0f);
}

TEST_P(RowKernelsTest, QuantizeRowU8RoundTripsWithinHalfAStep) {
  const auto x = RandomFloats(kMaxCols, 7, 5);
  std::vector<uint8_t> q(x.size());
  std::vector<float> factors;
  for (const RowQuantizer& quantizer : Quantizers(x.size(), &factors)) {
    const RowQuantization row = QuantizeRow(kernels_, x, quantizer, q.data());
    for (size_t c = 0; c < x.size(); ++c) {
      float value = quantizer.factors == nullptr ? x[c] : x[c] * factors[c];
      if (quantizer.range == RowRange::kFixed) {
        value = std::clamp(value, row.scale * static_cast<float>(-row.zero_point),
                           row.scale * static_cast<float>(255 - row.zero_point));
      }
      // Half a step from rounding the value, half from rounding the zero point.
      EXPECT_NEAR(row.scale * static_cast<float>(q[c] - row.zero_point), value, row.scale * 1.001f);
    }
  }
}

TEST_P(RowKernelsTest, QuantizeRowU8MarksRowsThatAreNotFinite) {
  for (const float bad : {kNan, kInfinity, -kInfinity}) {
    for (size_t at : {size_t{0}, size_t{15}, size_t{16}, size_t{36}}) {
      auto x = RandomFloats(37, 3);
      x[at] = bad;
      ExpectSameQuantization(kernels_, x);
      std::vector<uint8_t> q(37);
      std::vector<float> factors;
      for (const RowQuantizer& quantizer : Quantizers(x.size(), &factors)) {
        EXPECT_TRUE(std::isnan(QuantizeRow(kernels_, x, quantizer, q.data()).scale)) << bad << " at " << at;
      }
    }
  }
}

TEST_P(RowKernelsTest, SymmetricRangesAreSignedValues) {
  const std::vector<float> x = {-1.0f, 0.0f, 0.5f, 0.25f, -0.25f};
  std::vector<uint8_t> q(x.size());
  const RowQuantization row = QuantizeRow(kernels_, x, {.range = RowRange::kSymmetric}, q.data());
  // compressed-tensors: scale = max|x| / 127.5, q = round(x / scale) in [-128, 127]; ours is 128 higher.
  EXPECT_FLOAT_EQ(row.scale, 1.0f / 127.5f);
  EXPECT_EQ(row.zero_point, 128);
  EXPECT_LE(q[0], 1);  // -127.5 is a tie
  EXPECT_EQ(q, (std::vector<uint8_t>{q[0], 128, 192, 160, 96}));
}

TEST_P(RowKernelsTest, DequantizeRowIsBitEqual) {
  for (size_t cols = 1; cols <= kMaxCols; ++cols) {
    const auto acc = RandomInts<int32_t>(cols, cols, -40000000, 40000000);
    constexpr int32_t kMostSum = 127 * static_cast<int32_t>(kMaxInt8Depth);
    auto sums = RandomInts<int32_t>(cols, cols + 1, -100000, 100000);
    if (cols > 2) sums[0] = kMostSum, sums[2] = -kMostSum;
    auto pairs = sums;
    std::transform(sums.begin(), sums.end(), pairs.begin(), PairOfSum);
    const auto scales = RandomFloats(cols, cols + 2, 0.01f), bias = RandomFloats(cols, cols + 3);
    const DequantizeColumns columns{pairs.data(), scales.data(), bias.data()};
    std::vector<float> expected(cols), actual(cols), wanted(cols);
    for (const int32_t zero_point : {0, 1, 131, 255}) {
      for (size_t c = 0; c < cols; ++c) {
        wanted[c] = std::fma(static_cast<float>(acc[c] - zero_point * sums[c]), 0.03f * scales[c], bias[c]);
      }
      const RowQuantization row{0.03f, zero_point};
      reference_.dequantize_rows(acc.data(), &row, 1, columns, cols, expected.data());
      kernels_.dequantize_rows(acc.data(), &row, 1, columns, cols, actual.data());
      EXPECT_EQ(expected, wanted) << "cols=" << cols;
      EXPECT_EQ(actual, wanted) << "cols=" << cols;
    }
  }
}

// Rows that are taken together have the bits that they have alone.
TEST_P(RowKernelsTest, RowsDoNotDependOnEachOther) {
  for (const size_t cols : {1, 15, 16, 37, 64, 130}) {
    auto x = RandomFloats(kMaxRowsAtOnce * cols, 1, 3);
    const auto residual = RandomFloats(x.size(), 2), gamma = RandomFloats(cols, 3), beta = RandomFloats(cols, 4);
    const auto acc = RandomInts<int32_t>(x.size(), 5, -40000000, 40000000), sums = RandomInts<int32_t>(cols, 6, -9, 9);
    const LayerNormWeights norm{gamma.data(), beta.data(), 1e-12f};
    const DequantizeColumns columns{sums.data(), gamma.data(), beta.data()};
    const RowQuantization quantizations[] = {{0.03f, 131}, {0.5f, 0}, {2.0f, 255}, {1e-3f, 7}};
    std::vector<float> factors;
    for (size_t rows = 1; rows <= kMaxRowsAtOnce; ++rows) {
      x[rows / 2 * cols] = rows == 3 ? kNan : 1.0f;  // a row that is not finite is its own affair
      for (const RowQuantizer& quantizer : Quantizers(cols, &factors)) {
        std::vector<uint8_t> together(rows * cols + 1, 77), alone(cols);
        RowQuantization got[kMaxRowsAtOnce], want;
        kernels_.quantize_rows_u8(x.data(), rows, quantizer, cols, together.data(), got);
        EXPECT_EQ(together.back(), 77);
        for (size_t r = 0; r < rows; ++r) {
          kernels_.quantize_rows_u8(x.data() + r * cols, 1, quantizer, cols, alone.data(), &want);
          EXPECT_TRUE(std::equal(alone.begin(), alone.end(), together.begin() + static_cast<ptrdiff_t>(r * cols)));
          EXPECT_TRUE(got[r].scale == want.scale || (std::isnan(got[r].scale) && std::isnan(want.scale)));
          EXPECT_EQ(got[r].zero_point, want.zero_point);
        }
      }
      x[rows / 2 * cols] = 1.0f;
      std::vector<float> together(rows * cols + 1, 77), alone(cols);
      const auto expect_row = [&](size_t r) {
        EXPECT_EQ(std::memcmp(alone.data(), together.data() + r * cols, cols * sizeof(float)), 0) << rows << " " << r;
        EXPECT_EQ(together.back(), 77);
      };
      kernels_.layer_norm_rows(x.data(), residual.data(), rows, norm, cols, together.data());
      for (size_t r = 0; r < rows; ++r) {
        kernels_.layer_norm_rows(x.data() + r * cols, residual.data() + r * cols, 1, norm, cols, alone.data());
        expect_row(r);
      }
      kernels_.dequantize_rows(acc.data(), quantizations, rows, columns, cols, together.data());
      for (size_t r = 0; r < rows; ++r) {
        kernels_.dequantize_rows(acc.data() + r * cols, quantizations + r, 1, columns, cols, alone.data());
        expect_row(r);
      }
    }
  }
}

// |error| <= absolute + relative * |expected| for every column count.
template <typename F>
void ExpectRowsNear(const KernelTable& kernels, float deviation, float absolute, float relative, const F& run) {
  for (size_t cols = 1; cols <= kMaxCols; ++cols) {
    auto expected = RandomFloats(cols, cols, deviation), actual = expected;
    run(ScalarKernels(), cols, expected.data());
    run(kernels, cols, actual.data());
    for (size_t c = 0; c < cols; ++c) {
      ASSERT_NEAR(actual[c], expected[c], absolute + relative * std::abs(expected[c])) << "cols=" << cols << " c=" << c;
    }
  }
}

TEST_P(RowKernelsTest, GeluErfMatchesErf) {
  // 9.1e-7 from the polynomial, as much from the reference's own f32 arithmetic.
  ExpectRowsNear(kernels_, 3, 2e-6f, 2e-7f, [](const KernelTable& k, size_t n, float* x) { k.gelu_erf_row(x, n); });
  std::vector<float> edges = {-1e30f, -100, -5.0001f, -5, -0.0f, 0, 1e-30f, 5, 5.0001f, 100, 1e30f};
  auto expected = edges;
  reference_.gelu_erf_row(expected.data(), expected.size());
  kernels_.gelu_erf_row(edges.data(), edges.size());
  for (size_t i = 0; i < edges.size(); ++i) EXPECT_NEAR(edges[i], expected[i], 2e-6f + 2e-7f * std::abs(expected[i]));
}

TEST_P(RowKernelsTest, GeluErfShortMatchesErf) {
  ExpectRowsNear(kernels_, 3, 2e-4f, 2e-7f,
                 [](const KernelTable& k, size_t n, float* x) { k.gelu_erf_short_row(x, n); });
  std::vector<float> edges = {-1e30f, -100, -4.01f, -4, -1e-3f, -0.0f, 0, 1e-30f, 4, 4.01f, 100, 1e30f};
  auto expected = edges;
  reference_.gelu_erf_row(expected.data(), expected.size());
  kernels_.gelu_erf_short_row(edges.data(), edges.size());
  for (size_t i = 0; i < edges.size(); ++i) EXPECT_NEAR(edges[i], expected[i], 2e-4f + 1e-6f * std::abs(expected[i]));
  // Small rows have small steps: near 0 the error is of second order.
  for (const float x : {-0.01f, -0.001f, 0.001f, 0.01f}) {
    float y = x, want = x;
    kernels_.gelu_erf_short_row(&y, 1);
    reference_.gelu_erf_row(&want, 1);
    EXPECT_NEAR(y, want, 2e-3f * x * x + 1e-7f * std::abs(x));
  }
}

TEST_P(RowKernelsTest, GeluTanhMatchesTanh) {
  // tanh and exp forms: a few ulp of the larger term each.
  ExpectRowsNear(kernels_, 3, 1e-6f, 1e-6f, [](const KernelTable& k, size_t n, float* x) { k.gelu_tanh_row(x, n); });
}

TEST_P(RowKernelsTest, ReluIsExact) {
  ExpectRowsNear(kernels_, 3, 0, 0, [](const KernelTable& k, size_t n, float* x) { k.relu_row(x, n); });
}

TEST_P(RowKernelsTest, ActivationsKeepNan) {
  for (auto activate :
       {kernels_.gelu_erf_row, kernels_.gelu_erf_short_row, kernels_.gelu_tanh_row, kernels_.relu_row}) {
    std::vector<float> x(19, 1.0f);
    x[3] = x[18] = kNan;
    activate(x.data(), x.size());
    EXPECT_TRUE(std::isnan(x[3]) && std::isnan(x[18]) && !std::isnan(x[4]));
  }
}

TEST_P(RowKernelsTest, LayerNormMatchesReference) {
  const auto gamma = RandomFloats(kMaxCols, 1), beta = RandomFloats(kMaxCols, 2), residual = RandomFloats(kMaxCols, 3),
             factors = RandomFloats(kMaxCols, 4, 2);
  for (const float* res : {static_cast<const float*>(nullptr), residual.data()}) {
    // Sums of up to 130 f32 terms in another order: relative 130 * 2^-24, twice, on values of size ~1-10.
    for (const float* res_factors : {static_cast<const float*>(nullptr), factors.data()}) {
      ExpectRowsNear(kernels_, 2, 4e-5f, 2e-5f, [&](const KernelTable& k, size_t n, float* x) {
        k.layer_norm_rows(x, res, 1, {gamma.data(), beta.data(), 1e-12f, res_factors}, n, x);
      });
    }
  }
}

// Sums as the vector kernels define them on every level: in lanes, the upper half added to the lower one.
template <size_t kLanes>
float SumInLanes(const std::vector<float>& x) {
  float lanes[kLanes] = {};
  for (size_t c = 0; c < x.size(); ++c) lanes[c % kLanes] += x[c];
  for (size_t step = kLanes / 2; step > 0; step /= 2) {
    for (size_t lane = 0; lane < step; ++lane) lanes[lane] += lanes[lane + step];
  }
  return lanes[0];
}

TEST_P(RowKernelsTest, ExpRowSumsInSixteenLanes) {
  if (GetParam() == Isa::kScalar) GTEST_SKIP() << "SKIPPED: the reference sums in order";
  for (size_t cols = 1; cols <= kMaxCols; ++cols) {
    auto x = RandomFloats(cols, cols, 20);
    const float sum = kernels_.exp_row(x.data(), 0.7f, cols);
    EXPECT_EQ(sum, SumInLanes<16>(x)) << "cols=" << cols;
  }
}

TEST_P(RowKernelsTest, LayerNormRowSumsIn64Lanes) {
  if (GetParam() == Isa::kScalar) GTEST_SKIP() << "SKIPPED: the reference sums in order";
  const auto gamma = RandomFloats(kMaxCols, 1), beta = RandomFloats(kMaxCols, 2);
  for (size_t cols = 1; cols <= kMaxCols; ++cols) {
    const auto x = RandomFloats(cols, cols);
    const float mean = SumInLanes<64>(x) / static_cast<float>(cols);
    float lanes[64] = {};
    for (size_t c = 0; c < cols; ++c) lanes[c % 64] = std::fma(x[c] - mean, x[c] - mean, lanes[c % 64]);
    const float variance = SumInLanes<64>({std::begin(lanes), std::end(lanes)}) / static_cast<float>(cols);
    const float factor = 1.0f / std::sqrt(variance + 1e-5f);
    std::vector<float> expected(cols), actual(cols);
    for (size_t c = 0; c < cols; ++c) expected[c] = std::fma((x[c] - mean) * factor, gamma[c], beta[c]);
    kernels_.layer_norm_rows(x.data(), nullptr, 1, {gamma.data(), beta.data(), 1e-5f}, cols, actual.data());
    EXPECT_EQ(actual, expected) << "cols=" << cols;
  }
}

TEST_P(RowKernelsTest, ExpRowMatchesAndSums) {
  for (size_t cols = 1; cols <= kMaxCols; ++cols) {
    auto expected = RandomFloats(cols, cols, 20), actual = expected;
    const float want = reference_.exp_row(expected.data(), 0.7f, cols);
    const float got = kernels_.exp_row(actual.data(), 0.7f, cols);
    EXPECT_NEAR(got, want, want * 2e-5f);
    // exp of an argument rounded at |x| < 128: 128 * 2^-24 relative, both sides.
    for (size_t c = 0; c < cols; ++c) ASSERT_NEAR(actual[c], expected[c], 2e-5f * expected[c] + 1e-37f);
  }
}

TEST_P(RowKernelsTest, ExpRowYieldsNanForNan) {
  std::vector<float> x(21, 1.0f);
  x[20] = kNan;
  EXPECT_TRUE(std::isnan(kernels_.exp_row(x.data(), 1.0f, x.size())));
}

TEST_P(RowKernelsTest, F16RoundTripIsExactForEveryFiniteF16) {
  std::vector<uint16_t> all;
  for (uint32_t h = 0; h < 65536; ++h) {
    if ((h & 0x7C00) != 0x7C00) all.push_back(static_cast<uint16_t>(h));
  }
  std::vector<float> wide(all.size()), expected(all.size());
  kernels_.f16_to_f32_row(all.data(), all.size(), wide.data());
  reference_.f16_to_f32_row(all.data(), all.size(), expected.data());
  EXPECT_EQ(wide, expected);
  std::vector<uint16_t> back(all.size());
  kernels_.f32_to_f16_row(wide.data(), wide.size(), back.data());
  EXPECT_EQ(back, all);
}

TEST_P(RowKernelsTest, F32ToF16RoundsAsReference) {
  for (float deviation : {1e-7f, 1e-4f, 1.0f, 1000.0f}) {
    const auto x = RandomFloats(1003, 5, deviation);
    std::vector<uint16_t> expected(x.size()), actual(x.size());
    reference_.f32_to_f16_row(x.data(), x.size(), expected.data());
    kernels_.f32_to_f16_row(x.data(), x.size(), actual.data());
    EXPECT_EQ(actual, expected) << deviation;
  }
}

TEST_P(RowKernelsTest, F32ToBf16RoundsAsReference) {
  if (kernels_.f32_to_bf16_row == nullptr) GTEST_SKIP() << "no BF16 at this level";
  auto x = RandomFloats(1003, 5, 3);
  x[0] = kInfinity, x[1] = -kInfinity, x[2] = 3.4e38f, x[3] = 0, x[4] = -0.0f, x[5] = 1e-40f;
  std::vector<uint16_t> expected(x.size()), actual(x.size());
  reference_.f32_to_bf16_row(x.data(), x.size(), expected.data());
  kernels_.f32_to_bf16_row(x.data(), x.size(), actual.data());
  EXPECT_EQ(actual, expected);
}

TEST_P(RowKernelsTest, TransposeMovesEveryElement) {
  for (size_t rows : {1, 15, 16, 17, 33}) {
    for (size_t cols : {1, 7, 32}) {
      const size_t src_stride = cols + 3, dst_stride = rows + 5;
      const auto src = RandomFloats(rows * src_stride, 9);
      std::vector<float> dst(cols * dst_stride, 42.0f);
      kernels_.transpose(src.data(), src_stride, rows, cols, dst.data(), dst_stride);
      for (size_t c = 0; c < cols; ++c) {
        for (size_t r = 0; r < dst_stride; ++r) {
          ASSERT_EQ(dst[c * dst_stride + r], r < rows ? src[r * src_stride + c] : 42.0f);
        }
      }
    }
  }
}

TEST_P(RowKernelsTest, AddScaleAndMaxRowsAreExact) {
  const auto other = RandomFloats(kMaxCols, 77);
  ExpectRowsNear(kernels_, 1, 0, 0,
                 [&](const KernelTable& k, size_t n, float* x) { k.add_row(x, other.data(), n, x); });
  ExpectRowsNear(kernels_, 1, 0, 0, [](const KernelTable& k, size_t n, float* x) { k.scale_row(0.3f, x, n); });
  ExpectRowsNear(kernels_, 1, 0, 0, [&](const KernelTable& k, size_t n, float* x) { k.max_row(other.data(), n, x); });
}

}  // namespace
}  // namespace octet::kernels
