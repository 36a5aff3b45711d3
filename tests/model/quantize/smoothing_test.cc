#include "model/quantize/smoothing.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "base/cpu_isa.h"
#include "tests/model/quantize/random_linear.h"

namespace octet::model {
namespace {

using kernels::InputFormat;

SmoothingChoice Choose(const OwnedLinear& linear, const LinearInputs& inputs) {
  LinearTrial trial(DetectIsa(), linear, inputs, 200);
  const auto choice = ChooseSmoothing(
      ChannelMax(inputs), linear, [](std::vector<float> factors) { return InputFormat{.factors = std::move(factors)}; },
      &trial);
  EXPECT_TRUE(choice.ok()) << choice.status();
  return *choice;
}

TEST(SmoothingTest, FactorsFollowTheFormula) {
  OwnedLinear linear = RandomLinear(3, 1, 1);
  linear.weights[0] = 0.5f;
  linear.weights[1] = -2.0f;
  linear.weights[2] = 1.0f;
  const std::vector<float> input_max = {4.0f, 1.0f, 0.25f};
  const std::vector<float> factors = SmoothingFactors(input_max, ColumnMax(linear.weights.span(), linear.in_dim), 0.5);
  // sqrt(0.5 / 4), sqrt(2 / 1), sqrt(1 / 0.25), over the cube root of their product, which is 1: the nearest powers of two.
  EXPECT_EQ(factors, (std::vector<float>{0.25f, 2.0f, 2.0f}));
}

TEST(SmoothingTest, SilentChannelsGetFiniteFactors) {
  OwnedLinear linear = RandomLinear(4, 2, 1);
  for (size_t j = 0; j < 2; ++j) linear.weights[j * 4 + 1] = 0;  // a weight column of zeros
  const std::vector<float> input_max = {0.0f, 1.0f, 1e-30f, 1e30f};
  for (const float factor : SmoothingFactors(input_max, ColumnMax(linear.weights.span(), linear.in_dim), 0.5)) {
    EXPECT_TRUE(std::isnormal(factor) && factor > 0) << factor;
  }
}

TEST(SmoothingTest, LoudChannelsAreSmoothedAndTheErrorFalls) {
  const OwnedLinear linear = RandomLinear(64, 48, 2);
  const LinearInputs inputs = RandomInputs(200, 64, 3);
  const SmoothingChoice choice = Choose(linear, inputs);
  ASSERT_EQ(choice.factors.size(), 64u);
  EXPECT_LT(choice.error, 0.5 * choice.error_without);
  EXPECT_LT(choice.factors[3], choice.factors[4]);
}

TEST(SmoothingTest, EvenInputsNeedNoFactors) {
  OwnedLinear linear = RandomLinear(8, 8, 2);
  for (float& w : linear.weights.span()) w = 1;
  const LinearInputs inputs{.dim = 8,
                            .rows = std::vector<float>(80, 1.0f),
                            .text_of_row = std::vector<uint32_t>(10, 0),
                            .weights = std::vector<float>(10, 0.1f)};
  const SmoothingChoice choice = Choose(linear, inputs);
  EXPECT_EQ(choice.error, choice.error_without);
  EXPECT_TRUE(choice.factors.empty());
}

// The error that is expected is that of the trial, which rounds; and so are the factors that come of it.
TEST(SmoothingTest, TheExpectedErrorIsThatOfTheTrial) {
  const OwnedLinear linear = RandomLinear(64, 48, 2);
  const LinearInputs inputs = RandomInputs(400, 64, 3);
  const SmoothingChoice choice = ChooseSmoothingByRows(inputs.rows, linear);
  ASSERT_EQ(choice.factors.size(), 64u);
  EXPECT_LT(choice.error, 0.5 * choice.error_without);
  EXPECT_LT(choice.factors[3], choice.factors[4]);
  LinearTrial trial(DetectIsa(), linear, inputs, 400);
  const double without = *trial.ErrorOf(InputFormat{}), with = *trial.ErrorOf(InputFormat{.factors = choice.factors});
  // 48 outputs of 400 rows leave the trial a few percent; that one scale of weights serves all rows, a few more.
  EXPECT_NEAR(without / choice.error_without, 1, 0.2);
  EXPECT_NEAR(with / choice.error, 1, 0.2);
  EXPECT_LT(with, 1.1 * Choose(linear, inputs).error);
}

TEST(SmoothingTest, EvenRowsAreExpectedToNeedNoFactors) {
  OwnedLinear even = RandomLinear(8, 8, 2);
  for (float& w : even.weights.span()) w = 1;
  const SmoothingChoice choice = ChooseSmoothingByRows(std::vector<float>(80, 1.0f), even);
  EXPECT_TRUE(choice.factors.empty());
  EXPECT_EQ(choice.error, choice.error_without);
}

TEST(SmoothingTest, RowsThatAreNotFiniteGiveNoFactors) {
  const OwnedLinear linear = RandomLinear(64, 48, 2);
  std::vector<float> rows = RandomInputs(20, 64, 3).rows;
  EXPECT_FALSE(ChooseSmoothingByRows(rows, linear).factors.empty());
  for (const float value : {std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()}) {
    rows[13] = value;
    EXPECT_TRUE(ChooseSmoothingByRows(rows, linear).factors.empty()) << value;
  }
}

}  // namespace
}  // namespace octet::model
