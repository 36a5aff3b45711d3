// An int8 layer gives the bits of its reference at every level, by whatever kernel. One process runs at one level: ctest
// starts this program once per level with OCTET_ISA set.
#include "kernels/linear.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdio>
#include <limits>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "kernels/scalar_kernels.h"
#include "tests/kernels/level_test.h"
#include "tests/kernels/test_matrix.h"

namespace octet::kernels {
namespace {

using LinearTest = LevelTest;

struct Layer {
  Layer(size_t depth, size_t cols)
      : in_dim(depth),
        out_dim(cols),
        weights(RandomInts<int8_t>(depth * cols, 1, -127, 127)),
        scales(RandomFloats(cols, 2)),
        bias(RandomFloats(cols, 3)),
        sums(cols) {
    // Half of the columns at the ends of the range, where 16-bit sums would saturate.
    for (size_t i = 0; i < depth * cols; ++i) {
      if (i / depth % 2 == 0) weights[i] = i / depth % 4 == 0 ? 127 : -127;
    }
    for (float& scale : scales) scale = std::abs(scale) + 0.001f;
    SumColumns(weights, depth, sums);
  }

  LinearWeights values() const {
    return {.in_dim = in_dim, .out_dim = out_dim, .bias = bias, .s8 = weights, .scales = scales};
  }

  // Of rows of `x` from `first_row` on.
  std::vector<float> Reference(const InputBlock& x, size_t first_row, size_t rows) const {
    std::vector<int32_t> acc(rows * out_dim);
    MatmulU8S8Scalar(x.u8(first_row), weights.data(), rows, out_dim, in_dim, acc.data());
    std::vector<float> y(rows * out_dim);
    ScalarKernels().dequantize_rows(acc.data(), x.quantizations(first_row), rows,
                                    {.column_sums = sums.data(), .weight_scales = scales.data(), .bias = bias.data()},
                                    out_dim, y.data());
    return y;
  }

  size_t in_dim, out_dim;
  std::vector<int8_t> weights;
  std::vector<float> scales, bias;
  std::vector<int32_t> sums;
};

size_t CountDifferences(const std::vector<float>& got, const std::vector<float>& want) {
  size_t differences = 0;
  for (size_t i = 0; i < want.size(); ++i) {
    differences += std::bit_cast<uint32_t>(got[i]) != std::bit_cast<uint32_t>(want[i]);
  }
  return differences;
}

// Products of `rows` rows after the first block of an input.
void ExpectReference(Isa isa, const Layer& layer, size_t rows) {
  LinearFactory factory(isa);
  const auto linear = factory.MakeLinear(layer.values(), {});
  ASSERT_TRUE(linear.ok()) << linear.status();
  const size_t num_rows = kMaxProductRows + rows;
  InputBlock x(&factory.kernels(), num_rows, InputBlock::RowBytes(LinearKind::kInt8, layer.in_dim));
  x.Start((*linear)->input(), layer.in_dim);
  auto values = RandomFloats(num_rows * layer.in_dim, static_cast<uint32_t>(rows), 3);
  for (size_t i = 0; i < values.size(); i += 3) values[i] = values[i] > 0 ? 9.0f : -4.0f;  // q = 255 and 0
  x.SetRows(0, num_rows, values.data());
  OutputBlock product(factory);
  (*linear)->Multiply(x, kMaxProductRows, rows, &product);
  std::vector<float> y(rows * layer.out_dim);
  (*linear)->StoreRows(x, &product, kMaxProductRows, rows, y.data());
  EXPECT_EQ(CountDifferences(y, layer.Reference(x, kMaxProductRows, rows)), 0u)
      << rows << " x " << layer.in_dim << " x " << layer.out_dim;
}

TEST_F(LinearTest, EveryNumberOfRows) {
  for (const Layer& layer : {Layer(100, 72), Layer(192, 72)}) {
    for (size_t rows = 1; rows <= kMaxProductRows; ++rows) ExpectReference(isa_, layer, rows);
  }
}

TEST_F(LinearTest, EveryTailOfColumns) {
  for (size_t cols = 1; cols <= 80; ++cols) ExpectReference(isa_, Layer(64, cols), 13);
}

TEST_F(LinearTest, OddDepths) {
  for (const size_t depth : {1, 3, 26, 63, 65, 312}) ExpectReference(isa_, Layer(depth, 50), 33);
}

// Whether a layer gives its rows the activation itself is its level's matter; their bits are not.
TEST_F(LinearTest, AFusedActivationHasTheKernelsBits) {
  const Layer layer(64, 72);
  LinearFactory factory(isa_);
  const auto plain = factory.MakeLinear(layer.values(), {}), fused = factory.MakeLinear(layer.values(), {});
  ASSERT_TRUE(plain.ok() && fused.ok());
  const bool is_vnni = isa_ == Isa::kAvx512Vnni || isa_ == Isa::kAvx512Bf16;
  ASSERT_EQ((*fused)->FuseShortGelu(), is_vnni);
  if (!is_vnni) return;
  for (size_t rows = 1; rows <= 17; ++rows) {
    InputBlock x(&factory.kernels(), rows, InputBlock::RowBytes(LinearKind::kInt8, layer.in_dim));
    x.Start((*plain)->input(), layer.in_dim);
    auto values = RandomFloats(rows * layer.in_dim, static_cast<uint32_t>(rows), 3);
    if (rows == 5) values[3 * layer.in_dim] = std::numeric_limits<float>::quiet_NaN();
    x.SetRows(0, rows, values.data());
    OutputBlock product(factory);
    std::vector<float> want(rows * layer.out_dim), got(want);
    (*plain)->Multiply(x, 0, rows, &product);
    (*plain)->StoreRows(x, &product, 0, rows, want.data());
    factory.kernels().gelu_erf_short_row(want.data(), want.size());
    (*fused)->Multiply(x, 0, rows, &product);
    (*fused)->StoreRows(x, &product, 0, rows, got.data());
    EXPECT_EQ(CountDifferences(got, want), 0u) << rows;
  }
}

TEST_F(LinearTest, ANanInARowIsSeenInAllOfItAndNowhereElse) {
  const Layer layer(64, 40);
  LinearFactory factory(isa_);
  const auto linear = factory.MakeLinear(layer.values(), {});
  ASSERT_TRUE(linear.ok()) << linear.status();
  InputBlock x(&factory.kernels(), 3, InputBlock::RowBytes(LinearKind::kInt8, layer.in_dim));
  x.Start((*linear)->input(), layer.in_dim);
  auto values = RandomFloats(3 * layer.in_dim, 5);
  values[layer.in_dim + 7] = std::numeric_limits<float>::quiet_NaN();
  x.SetRows(0, 3, values.data());
  OutputBlock product(factory);
  (*linear)->Multiply(x, 0, 3, &product);
  std::vector<float> y(3 * layer.out_dim);
  (*linear)->StoreRows(x, &product, 0, 3, y.data());
  for (size_t i = 0; i < y.size(); ++i) EXPECT_EQ(std::isnan(y[i]), i / layer.out_dim == 1) << i;
}

TEST_F(LinearTest, EveryLevelHasTheKernelThatBelongsToIt) {
  const Layer typical(384, 48), odd(50, 48);
  LinearFactory factory(isa_);
  ASSERT_TRUE(factory.MakeLinear(typical.values(), {}).ok());
  ASSERT_TRUE(factory.MakeLinear(odd.values(), {}).ok());
  std::string names;
  for (const std::string& name : factory.implementation_names()) names += name + "\n";
  std::printf("level %s:\n%s", std::string(IsaName(isa_)).c_str(), names.c_str());
  const bool is_vnni = isa_ == Isa::kAvx512Vnni || isa_ == Isa::kAvx512Bf16;
  EXPECT_EQ(absl::StrContains(names, "octet:linear_u8s8 vnni 384x48\n"), is_vnni);
  for (const char* const shape : {"384x48", "50x48"}) {
    EXPECT_EQ(absl::StrContains(names, absl::StrCat("octet:gemm_u8s8 amx ", shape, "\n")), isa_ == Isa::kAvx512Amx);
  }
  EXPECT_EQ(absl::StrContains(names, "s16:"), isa_ == Isa::kAvx2 || isa_ == Isa::kAvx512);
  EXPECT_EQ(absl::StrContains(names, "brg"), is_vnni);  // oneDNN, for the odd depth
}

}  // namespace
}  // namespace octet::kernels
