#include "model/quantize/weight_rounding.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/linear.h"
#include "tests/model/quantize/random_linear.h"

namespace octet::model {
namespace {

constexpr size_t kInDim = 40, kOutDim = 24, kNumRows = 300;

// Sum of squared differences of the outputs of `weights` and of what `rounded` stands for.
double OutputError(const OwnedLinear& linear, const LinearInputs& inputs, const RoundedWeights& rounded) {
  double sum = 0;
  for (size_t r = 0; r < inputs.num_rows(); ++r) {
    for (size_t j = 0; j < linear.out_dim; ++j) {
      double difference = 0;
      for (size_t c = 0; c < linear.in_dim; ++c) {
        const size_t i = j * linear.in_dim + c;
        const double restored = static_cast<double>(rounded.scales[j]) * rounded.values[i];
        difference += (restored - static_cast<double>(linear.weights[i])) * static_cast<double>(inputs.row(r)[c]);
      }
      sum += difference * difference;
    }
  }
  return sum;
}

RoundedWeights RoundToNearest(const OwnedLinear& linear) {
  RoundedWeights rounded{.values = std::vector<int8_t>(linear.weights.size()),
                         .scales = std::vector<float>(linear.out_dim)};
  for (size_t j = 0; j < linear.out_dim; ++j) {
    rounded.scales[j] = kernels::QuantizeChannelS8(linear.weights.span().subspan(j * linear.in_dim, linear.in_dim),
                                                   rounded.values.data() + j * linear.in_dim);
  }
  return rounded;
}

TEST(WeightRoundingTest, FactorInvertsTheMoments) {
  constexpr size_t kDim = 17;
  const LinearInputs inputs = RandomInputs(60, kDim, 5);
  std::vector<double> moments(kDim * kDim, 0.0);
  for (size_t r = 0; r < inputs.num_rows(); ++r) {
    for (size_t i = 0; i < kDim * kDim; ++i) {
      moments[i] += static_cast<double>(inputs.row(r)[i / kDim]) * static_cast<double>(inputs.row(r)[i % kDim]);
    }
  }
  const auto factor = InverseFactor(moments, kDim);
  ASSERT_TRUE(factor.ok()) << factor.status();
  double trace = 0;
  for (size_t i = 0; i < kDim; ++i) trace += moments[i * kDim + i];
  for (size_t i = 0; i < kDim; ++i) moments[i * kDim + i] += 0.01 * trace / kDim;
  // U^T U (X^T X + damping) = 1, U upper triangular.
  for (size_t i = 0; i < kDim; ++i) {
    for (size_t j = 0; j < i; ++j) EXPECT_EQ((*factor)[i * kDim + j], 0);
    for (size_t j = 0; j < kDim; ++j) {
      double product = 0;
      for (size_t k = 0; k < kDim; ++k) {
        double inverse = 0;
        for (size_t l = 0; l < kDim; ++l) inverse += (*factor)[l * kDim + i] * (*factor)[l * kDim + k];
        product += inverse * moments[k * kDim + j];
      }
      EXPECT_NEAR(product, i == j ? 1 : 0, 1e-9) << i << " " << j;
    }
  }
}

TEST(WeightRoundingTest, OutputsAreCloserThanWithRoundingToNearest) {
  const OwnedLinear linear = RandomLinear(kInDim, kOutDim, 1);
  const LinearInputs inputs = RandomInputs(kNumRows, kInDim, 2);
  const auto rounded = RoundWithCompensation(linear.weights.span(), kInDim, inputs.rows, {});
  ASSERT_TRUE(rounded.ok()) << rounded.status();
  EXPECT_LT(OutputError(linear, inputs, *rounded), 0.7 * OutputError(linear, inputs, RoundToNearest(linear)));
}

// A weight far beyond the others that the inputs hardly use: clipping it makes every other step finer.
TEST(WeightRoundingTest, ClippingPaysWhereALargeWeightMattersLittle) {
  OwnedLinear linear = RandomLinear(kInDim, kOutDim, 1);
  LinearInputs inputs = RandomInputs(kNumRows, kInDim, 2);
  constexpr size_t kSpare = 3;
  float largest = 0;
  for (const float w : linear.weights.span()) largest = std::max(largest, std::abs(w));
  for (size_t j = 0; j < kOutDim; j += 2) linear.weights.data()[j * kInDim + kSpare] = 1.3f * largest;
  for (size_t r = 0; r < kNumRows; ++r) inputs.rows[r * kInDim + kSpare] *= 1e-3f;
  const auto whole = RoundWithCompensation(linear.weights.span(), kInDim, inputs.rows, {});
  const auto clipped = RoundWithCompensation(linear.weights.span(), kInDim, inputs.rows, {.clipping_search = true});
  ASSERT_TRUE(whole.ok() && clipped.ok());
  for (size_t j = 0; j < kOutDim; ++j) EXPECT_LE(clipped->scales[j], whole->scales[j]);
  EXPECT_NE(clipped->scales, whole->scales);
  EXPECT_LT(OutputError(linear, inputs, *clipped), 0.9 * OutputError(linear, inputs, *whole));
}

TEST(WeightRoundingTest, ThreadsDoNotChangeTheResult) {
  const OwnedLinear linear = RandomLinear(kInDim, kOutDim, 1);
  const LinearInputs inputs = RandomInputs(kNumRows, kInDim, 2);
  const auto one = RoundWithCompensation(linear.weights.span(), kInDim, inputs.rows, {});
  const auto three = RoundWithCompensation(linear.weights.span(), kInDim, inputs.rows, {.num_threads = 3});
  ASSERT_TRUE(one.ok() && three.ok());
  EXPECT_EQ(one->values, three->values);
  EXPECT_EQ(one->scales, three->scales);
}

TEST(WeightRoundingTest, FewRowsAndZeroChannelsWork) {
  OwnedLinear linear = RandomLinear(kInDim, 3, 1);
  for (size_t c = 0; c < kInDim; ++c) linear.weights[kInDim + c] = 0;
  for (const size_t num_rows : {size_t{0}, size_t{1}, size_t{5}}) {  // singular without damping
    const LinearInputs inputs = RandomInputs(num_rows, kInDim, 2);
    const auto rounded = RoundWithCompensation(linear.weights.span(), kInDim, inputs.rows, {});
    ASSERT_TRUE(rounded.ok()) << rounded.status();
    EXPECT_EQ(rounded->scales[1], 1);
    for (size_t c = 0; c < kInDim; ++c) EXPECT_EQ(rounded->values[kInDim + c], 0);
  }
}

TEST(WeightRoundingTest, ValuesThatAreNotFiniteAreAnError) {
  const OwnedLinear linear = RandomLinear(kInDim, 3, 1);
  LinearInputs inputs = RandomInputs(5, kInDim, 2);
  inputs.rows[7] = std::numeric_limits<float>::infinity();
  EXPECT_FALSE(RoundWithCompensation(linear.weights.span(), kInDim, inputs.rows, {}).ok());
}

}  // namespace
}  // namespace octet::model
