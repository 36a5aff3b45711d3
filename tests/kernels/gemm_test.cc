// The floating-point products: near the reference, and bit-equal for a row in whatever tile it falls.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "base/cpu_isa.h"
#include "base/rounding.h"
#include "kernels/kernel_table.h"
#include "kernels/scalar_kernels.h"
#include "tests/kernels/test_matrix.h"

namespace octet::kernels {
namespace {

class GemmTest : public testing::TestWithParam<Isa> {
 protected:
  // Integers; with pads_c, into rows of c with room for it.
  template <class G>
  void ExpectPaddedIsEqual(void (*KernelTable::*gemm)(const G&), G g) const {
    const size_t stride = RoundUp(g.cols, kPaddedCols);
    std::vector<int32_t> expected(g.rows * stride + 1, 9), actual(expected);
    g.ldc = stride;
    g.c = expected.data();
    (ScalarKernels().*gemm)(g);
    g.c = actual.data();
    g.pads_c = true;
    (kernels_.*gemm)(g);
    EXPECT_EQ(actual.back(), 9);
    for (size_t r = 0; r < g.rows; ++r) {
      const auto* const row = actual.data() + r * stride;
      ASSERT_TRUE(std::equal(row, row + g.cols, expected.data() + r * stride)) << g.rows << "x" << g.cols;
    }
  }

  const KernelTable& kernels_ = KernelsFor(GetParam());
};

INSTANTIATE_TEST_SUITE_P(Isas, GemmTest, testing::ValuesIn(SupportedIsas()),
                         [](const auto& isa_info) { return std::string(IsaName(isa_info.param)); });

// A dense product by the reference and by `kernels`, each with an element past its end that must stay 9.
template <typename T>
std::pair<std::vector<T>, std::vector<T>> Both(const KernelTable& kernels,
                                               void (*KernelTable::*gemm)(const GemmArgs<T>&), const std::vector<T>& a,
                                               const std::vector<T>& b, size_t rows, size_t cols) {
  std::vector<T> expected(rows * cols + 1, 9), actual(rows * cols + 1, 9);
  const size_t depth = a.size() / rows;
  GemmArgs<T> g{a.data(), depth, b.data(), cols, expected.data(), cols, rows, cols, depth};
  (ScalarKernels().*gemm)(g);
  g.c = actual.data();
  (kernels.*gemm)(g);
  return {expected, actual};
}

TEST_P(GemmTest, F32MatchesReferenceForEveryTileTail) {
  constexpr size_t kDepth = 37;
  for (size_t rows = 1; rows <= 13; ++rows) {
    for (size_t cols = 1; cols <= 131; cols += (cols < 70 ? 1 : 13)) {
      const auto a = RandomFloats(rows * kDepth, 1), b = RandomFloats(kDepth * cols, 2);
      const auto [expected, actual] = Both(kernels_, &KernelTable::gemm_f32, a, b, rows, cols);
      // 37 roundings of partial sums of size up to ~20: 37 * 20 * 2^-24.
      for (size_t i = 0; i < expected.size(); ++i) {
        ASSERT_NEAR(actual[i], expected[i], 5e-5f) << rows << "x" << cols << " at " << i;
      }
    }
  }
}

TEST_P(GemmTest, F32RowHasTheSameBitsAloneAndInAnyPlace) {
  constexpr size_t kDepth = 64, kCols = 83, kRows = 14;
  const auto a = RandomFloats(kRows * kDepth, 3), b = RandomFloats(kDepth * kCols, 4);
  std::vector<float> together(kRows * kCols), alone(kCols);
  kernels_.gemm_f32({a.data(), kDepth, b.data(), kCols, together.data(), kCols, kRows, kCols, kDepth});
  for (size_t r = 0; r < kRows; ++r) {
    kernels_.gemm_f32({a.data() + r * kDepth, kDepth, b.data(), kCols, alone.data(), kCols, 1, kCols, kDepth});
    EXPECT_EQ(std::memcmp(alone.data(), together.data() + r * kCols, kCols * sizeof(float)), 0) << r;
  }
  // And a column in a narrower product.
  std::vector<float> narrow(kRows);
  for (size_t c = 0; c < kCols; ++c) {
    kernels_.gemm_f32({a.data(), kDepth, b.data() + c, kCols, narrow.data(), 1, kRows, 1, kDepth});
    for (size_t r = 0; r < kRows; ++r) ASSERT_EQ(narrow[r], together[r * kCols + c]);
  }
}

TEST_P(GemmTest, S16IsExactForEveryTileTail) {
  constexpr size_t kPairs = 19;
  const auto pairs = [](size_t size, uint32_t seed, int limit) {
    const auto halves = RandomInts<int16_t>(2 * size, seed, -limit, limit);
    std::vector<int32_t> words(size);
    std::memcpy(words.data(), halves.data(), size * sizeof(int32_t));
    return words;
  };
  for (size_t rows = 1; rows <= 26; ++rows) {
    for (size_t cols = 1; cols <= 131; cols += (cols < 70 ? 1 : 13)) {
      // 2 * 19 products of up to 7400^2 fit s32, just.
      const auto a = pairs(rows * kPairs, 1, 7400), b = pairs(kPairs * cols, 2, 7400);
      const auto [expected, actual] = Both(kernels_, &KernelTable::gemm_s16, a, b, rows, cols);
      ASSERT_EQ(actual, expected) << rows << "x" << cols;  // the element past the end included
      ExpectPaddedIsEqual(&KernelTable::gemm_s16,
                          GemmS16{a.data(), kPairs, b.data(), cols, nullptr, 0, rows, cols, kPairs});
    }
  }
}

TEST_P(GemmTest, S16DoesNotSaturate) {
  // Two products of 32767^2 are as much as s32 holds, and every pair could be the most that an instruction adds.
  constexpr size_t kCols = 40;
  const auto word = [](int16_t x, int16_t y) {
    const int16_t halves[] = {x, y};
    int32_t pair;
    std::memcpy(&pair, halves, sizeof(pair));
    return pair;
  };
  for (const int16_t sign : {int16_t{1}, int16_t{-1}}) {
    const int32_t a = word(32767, 32767);
    const std::vector<int32_t> b(kCols, word(static_cast<int16_t>(sign * 32767), static_cast<int16_t>(sign * 32767)));
    std::vector<int32_t> c(kCols);
    kernels_.gemm_s16({&a, 1, b.data(), kCols, c.data(), kCols, 1, kCols, 1});
    for (const int32_t sum : c) ASSERT_EQ(sum, sign * 2 * 32767 * 32767);
  }
}

TEST_P(GemmTest, U8S8QuadsAreExactForEveryTileTail) {
  if (kernels_.gemm_u8s8_quads == nullptr) GTEST_SKIP() << "no such products at this level";
  constexpr size_t kQuads = 9, kLda = kQuads + 2;
  for (size_t rows = 1; rows <= 26; ++rows) {
    for (size_t cols = 1; cols <= 131; cols += (cols < 70 ? 1 : 13)) {
      const size_t ldb = cols + 3;
      std::vector<int32_t> a(rows * kLda), b(kQuads * ldb);
      const auto a_bytes = RandomInts<uint8_t>(4 * a.size(), 1, 0, 255);
      const auto b_bytes = RandomInts<int8_t>(4 * b.size(), 2, -128, 127);
      std::memcpy(a.data(), a_bytes.data(), a_bytes.size());
      std::memcpy(b.data(), b_bytes.data(), b_bytes.size());
      const auto sums = RandomInts<int32_t>(cols, 3, -1000000, 1000000);
      for (const int32_t* less : {static_cast<const int32_t*>(nullptr), sums.data()}) {
        std::vector<int32_t> expected(rows * cols + 1, 9), actual(expected);
        GemmU8S8Quads g{{a.data(), kLda, b.data(), ldb, expected.data(), cols, rows, cols, kQuads}, less};
        ScalarKernels().gemm_u8s8_quads(g);
        g.c = actual.data();
        kernels_.gemm_u8s8_quads(g);
        ASSERT_EQ(actual, expected) << rows << "x" << cols;  // the element past the end included
        ExpectPaddedIsEqual(&KernelTable::gemm_u8s8_quads, g);
      }
    }
  }
}

TEST_P(GemmTest, Bf16MatchesReferenceForEveryTileTail) {
  if (kernels_.gemm_bf16 == nullptr) GTEST_SKIP() << "no BF16 at this level";
  constexpr size_t kDepth = 3 * kBf16DepthUnit;
  const auto bf = [](size_t size, uint32_t seed) {
    const auto f = RandomFloats(size, seed);
    std::vector<uint16_t> out(size);
    ScalarKernels().f32_to_bf16_row(f.data(), size, out.data());
    return out;
  };
  const auto b = bf(kDepth * kBf16PanelCols, 2);
  for (const size_t rows : {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 15, 16, 17, 31, 32, 33, 48, 49, 64}) {
    for (size_t cols = 1; cols <= kBf16PanelCols; ++cols) {
      const auto a = bf(rows * kDepth, 1);
      std::vector<float> expected(rows * cols + 1, 9), actual(rows * cols + 1, 9);
      GemmBf16 g{.a = a.data(),
                 .lda = kDepth,
                 .b = b.data(),
                 .c = expected.data(),
                 .ldc = cols,
                 .rows = rows,
                 .cols = cols,
                 .depth = kDepth};
      ScalarKernels().gemm_bf16(g);
      g.c = actual.data();
      kernels_.gemm_bf16(g);
      for (size_t i = 0; i < expected.size(); ++i) ASSERT_NEAR(actual[i], expected[i], 5e-5f) << rows << "x" << cols;
    }
  }
}

}  // namespace
}  // namespace octet::kernels
