#include "base/checked_math.h"

#include <gtest/gtest.h>

namespace octet {
namespace {

constexpr uint64_t kMax = ~uint64_t{0};

TEST(CheckedMathTest, GivesNothingOnOverflow) {
  EXPECT_EQ(CheckedAdd(kMax - 1, 1), kMax);
  EXPECT_FALSE(CheckedAdd(kMax, 1));
  EXPECT_EQ(CheckedMul(kMax, 1), kMax);
  EXPECT_FALSE(CheckedMul(uint64_t{1} << 32, uint64_t{1} << 32));
  EXPECT_FALSE(CheckedSum({kMax, 0, 1}));
  EXPECT_FALSE(CheckedProduct({kMax, 2}));
}

TEST(CheckedMathTest, ZeroDimensionWinsInEveryOrder) {
  EXPECT_EQ(CheckedProduct({kMax, kMax, 0}), 0u);
  EXPECT_EQ(CheckedProduct({0, kMax, kMax}), 0u);
  EXPECT_EQ(CheckedProduct({}), 1u);
}

}  // namespace
}  // namespace octet
