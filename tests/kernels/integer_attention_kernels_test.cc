// Every row kernel of integer attention of every level this machine has, against the plain reference: the same bits, with every
// tail length.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "base/rounding.h"
#include "tests/kernels/kernel_table_test.h"
#include "tests/kernels/test_matrix.h"

namespace octet::kernels {
namespace {

class IntegerAttentionKernelsTest : public KernelTableTest {};

INSTANTIATE_TEST_SUITE_P(Isas, IntegerAttentionKernelsTest, testing::ValuesIn(SupportedIsas()), NameOfLevel);

// More heads than a kernel takes at once, and what lies between scales is left alone.
template <typename T>
void ExpectQuantizedHeadsAreBitEqual(const KernelTable& reference, const KernelTable& kernels,
                                     void (*KernelTable::*kernel)(const HeadRows<T>&), float limit) {
  constexpr size_t kRows = 7, kHeads = 11, kStride = kRows + 2;
  for (size_t head_dim = 1; head_dim <= kMaxCols; ++head_dim) {
    const size_t head_size = HeadSize<T>(head_dim);
    auto x = RandomFloats(kRows * kHeads * head_dim, static_cast<uint32_t>(head_dim), 3);
    for (const float special : {0.0f, 1e-35f, kNan, kInfinity, -kInfinity, 3e38f}) {
      std::fill_n(x.begin() + static_cast<ptrdiff_t>(head_dim), std::min<size_t>(head_dim, 7), special);
      if (special == 0 || special == 1e-35f)
        std::fill_n(x.begin() + static_cast<ptrdiff_t>(head_dim), head_dim, special);
      std::vector<T> expected(kRows * kHeads * head_size + 1, 77), actual(expected);
      std::vector<float> want(kHeads * kStride, 5), got(want);
      HeadRows<T> heads{.x = x.data(),
                        .rows = kRows,
                        .num_heads = kHeads,
                        .head_dim = head_dim,
                        .limit = limit,
                        .q = expected.data(),
                        .scales = want.data(),
                        .scale_stride = kStride};
      (reference.*kernel)(heads);
      heads.q = actual.data();
      heads.scales = got.data();
      (kernels.*kernel)(heads);
      ASSERT_EQ(actual, expected) << head_dim << " " << limit << " " << special;
      for (size_t i = 0; i < want.size(); ++i) {
        ASSERT_TRUE(got[i] == want[i] || (std::isnan(got[i]) && std::isnan(want[i]))) << got[i] << " " << want[i];
      }
    }
  }
}

TEST_P(IntegerAttentionKernelsTest, QuantizeHeadsIsBitEqualForEveryHeadSize) {
  for (const float limit : {2047.0f, 8191.0f, 32767.0f}) {
    ExpectQuantizedHeadsAreBitEqual(reference_, kernels_, &KernelTable::quantize_heads_s16, limit);
  }
  ExpectQuantizedHeadsAreBitEqual(reference_, kernels_, &KernelTable::quantize_heads_s8, 127);
  ExpectQuantizedHeadsAreBitEqual(reference_, kernels_, &KernelTable::quantize_heads_u8, 127);
}

TEST_P(IntegerAttentionKernelsTest, InterleaveRowsS16IsBitEqual) {
  for (size_t cols = 1; cols <= kMaxCols; ++cols) {
    for (size_t rows = 1; rows <= 5; ++rows) {
      const size_t stride = cols + 3, size = (rows + 1) / 2 * 2 * cols;
      const auto src = RandomInts<int16_t>(rows * stride, 1, -32768, 32767);
      std::vector<int16_t> expected(size + 1, 77), actual(size + 1, 77);
      reference_.interleave_rows_s16(src.data(), stride, rows, cols, expected.data());
      kernels_.interleave_rows_s16(src.data(), stride, rows, cols, actual.data());
      ASSERT_EQ(actual, expected) << rows << "x" << cols;  // the element past the end included
    }
  }
}

TEST_P(IntegerAttentionKernelsTest, ScaleS32RowsIsBitEqual) {
  constexpr size_t kRows = 3;
  const float factors[kRows] = {0.37f, 1e-6f, 2.0f};
  for (size_t cols = 1; cols <= kMaxCols; ++cols) {
    const size_t stride = cols + 2;
    const auto sums = RandomInts<int32_t>(kRows * cols, 3, -2000000000, 2000000000);
    std::vector<float> want(kRows * stride, 7), got(want);
    reference_.scale_s32_rows(sums.data(), factors, kRows, cols, want.data(), stride);
    kernels_.scale_s32_rows(sums.data(), factors, kRows, cols, got.data(), stride);
    EXPECT_EQ(got, want);  // what lies between rows included
  }
}

TEST_P(IntegerAttentionKernelsTest, RelativeScalesAreBitEqual) {
  for (size_t n = 1; n <= kMaxCols; ++n) {
    auto scales = RandomFloats(n, static_cast<uint32_t>(n), 3);
    for (float& scale : scales) scale = std::exp(scale);
    for (const float special : {1.0f, kZeroHeadScale, 3e38f, kNan}) {
      scales[n / 2] = special;
      std::vector<int16_t> expected(RoundUp(n, kScoreCols) + 1, 77), actual(expected);
      const float want = reference_.relative_scales(scales.data(), n, expected.data());
      const float got = kernels_.relative_scales(scales.data(), n, actual.data());
      ASSERT_TRUE(got == want || (std::isnan(got) && std::isnan(want) && std::isnan(special))) << n << " " << special;
      EXPECT_EQ(actual.back(), 77);
      if (std::isnan(special)) continue;
      ASSERT_EQ(actual, expected) << n << " " << special;
      EXPECT_EQ(*std::max_element(expected.begin(), expected.end() - 1), 32767);
    }
  }
}

// Rows of one softmax, with what a kernel makes of them.
struct SoftmaxProblem {
  static constexpr int kShift = 12;  // for scores below 2^19

  SoftmaxProblem(const KernelTable& reference, size_t num_keys, std::vector<float> query_scales)
      : n(num_keys), stride(RoundUp(n, kScoreCols)), queries(std::move(query_scales)) {
    scores = RandomInts<int32_t>(queries.size() * stride, static_cast<uint32_t>(n), -300000, 300000);  // past n too
    keys = RandomFloats(n, 2);
    values = RandomFloats(n, 3);
    for (size_t j = 0; j < n; ++j) {
      keys[j] = 1e-3f * std::exp(keys[j]);
      values[j] = std::exp(values[j]);
    }
    Relate(reference);
  }

  void Relate(const KernelTable& reference) {
    key_parts.resize(stride);
    value_parts.resize(stride);
    largest_key = reference.relative_scales(keys.data(), n, key_parts.data());
    largest_value = reference.relative_scales(values.data(), n, value_parts.data());
  }

  void Run(const KernelTable& kernels, std::vector<int16_t>* p, std::vector<float>* factors) const {
    p->assign(queries.size() * stride + 1, 77);
    factors->assign(queries.size() + 1, 77);
    kernels.softmax_s16({.scores = scores.data(),
                         .score_shift = kShift,
                         .queries = queries.data(),
                         .keys = {.parts = key_parts.data(), .largest = largest_key},
                         .values = {.parts = value_parts.data(), .largest = largest_value},
                         .rows = queries.size(),
                         .n = n,
                         .stride = stride,
                         .p = p->data(),
                         .factors = factors->data()});
    EXPECT_EQ(p->back(), 77);
    EXPECT_EQ(factors->back(), 77);
  }

  size_t n, stride;
  std::vector<float> queries, keys, values;
  std::vector<int32_t> scores;
  std::vector<int16_t> key_parts, value_parts;
  float largest_key, largest_value;
};

// Flat rows and peaks; the last one's scores are further apart than weights can tell.
const std::vector<float> kQueryScales = {0.01f, 0.001f, 0.1f, 1e-6f, 1e-12f, 0.03f, 1e6f};

TEST_P(IntegerAttentionKernelsTest, SoftmaxS16IsBitEqual) {
  for (size_t n = 1; n <= kMaxCols; ++n) {
    for (const float special : {1.0f, kNan, kInfinity}) {
      SoftmaxProblem problem(reference_, n, kQueryScales);
      problem.queries[2] *= special;
      std::vector<int16_t> expected, actual;
      std::vector<float> want, got;
      problem.Run(reference_, &expected, &want);
      problem.Run(kernels_, &actual, &got);
      for (size_t r = 0; r < kQueryScales.size(); ++r) {
        for (size_t j = 0; j < RoundUp(n, 2); ++j) {
          ASSERT_EQ(actual[r * problem.stride + j], expected[r * problem.stride + j])
              << n << " " << special << " " << r;
        }
        ASSERT_EQ(std::isnan(want[r]), r == 2 && special != 1) << r;
        ASSERT_TRUE(got[r] == want[r] || (std::isnan(got[r]) && std::isnan(want[r]))) << got[r] << " " << want[r];
      }
    }
  }
}

TEST_P(IntegerAttentionKernelsTest, SoftmaxS16OfANanScaleIsNan) {
  for (const bool is_key : {true, false}) {
    SoftmaxProblem problem(reference_, 40, kQueryScales);
    (is_key ? problem.keys : problem.values)[7] = kNan;
    problem.Relate(reference_);
    std::vector<int16_t> p;
    std::vector<float> factors;
    problem.Run(kernels_, &p, &factors);
    for (size_t r = 0; r < kQueryScales.size(); ++r) EXPECT_TRUE(std::isnan(factors[r])) << is_key << " " << r;
  }
}

TEST_P(IntegerAttentionKernelsTest, SoftmaxS16IsASoftmax) {
  for (size_t n = 1; n <= kMaxCols; ++n) {
    const SoftmaxProblem problem(reference_, n, kQueryScales);
    std::vector<int16_t> p;
    std::vector<float> factors;
    problem.Run(kernels_, &p, &factors);
    for (size_t r = 0; r + 1 < kQueryScales.size(); ++r) {
      std::vector<double> e(n);
      double max = -std::numeric_limits<double>::infinity(), sum = 0;
      const auto score = [&](size_t j) {
        return double{problem.queries[r]} * problem.keys[j] * problem.scores[r * problem.stride + j];
      };
      for (size_t j = 0; j < n; ++j) max = std::max(max, score(j));
      for (size_t j = 0; j < n; ++j) sum += e[j] = std::exp(score(j) - max);
      // Scores are kept in steps of 16, their products with scales in as many; and weights, sums and products to 2^-15.
      const double step = 16.0 * problem.queries[r] * problem.largest_key;
      const double relative = 2 * step + 5e-4;
      const double weight_step = problem.largest_value * std::max(1.0 / sum, 1.0 / 30) / 32767;
      int64_t total = 0;
      for (size_t j = 0; j < RoundUp(n, 2); ++j) {
        const int16_t weight = p[r * problem.stride + j];
        total += weight;
        if (j >= n) {
          ASSERT_EQ(weight, 0) << n << " row " << r;
          continue;
        }
        const double want = e[j] * problem.values[j] / sum;
        ASSERT_NEAR(weight * double{factors[r]}, want, relative * want + 2.5 * weight_step) << n << " row " << r;
      }
      EXPECT_LE(total, static_cast<int64_t>(kSoftmaxS16Sum) + static_cast<int64_t>(n));
    }
  }
}

}  // namespace
}  // namespace octet::kernels
