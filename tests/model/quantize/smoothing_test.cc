#include "model/quantize/smoothing.h"

#include <gtest/gtest.h>

#include <cmath>

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
  const std::vector<float> factors = SmoothingFactors(input_max, linear, 0.5);
  // sqrt(0.5 / 4), sqrt(2 / 1), sqrt(1 / 0.25), over the cube root of their product.
  const double raw[] = {std::sqrt(0.125), std::sqrt(2.0), 2.0}, mean = std::cbrt(raw[0] * raw[1] * raw[2]);
  for (size_t c = 0; c < 3; ++c) EXPECT_NEAR(factors[c], raw[c] / mean, 1e-6) << c;
}

TEST(SmoothingTest, SilentChannelsGetFiniteFactors) {
  OwnedLinear linear = RandomLinear(4, 2, 1);
  for (size_t j = 0; j < 2; ++j) linear.weights[j * 4 + 1] = 0;  // a weight column of zeros
  const std::vector<float> input_max = {0.0f, 1.0f, 1e-30f, 1e30f};
  for (const float factor : SmoothingFactors(input_max, linear, 0.5)) {
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

TEST(SmoothingTest, NormsTellWhatTheirOutputsReach) {
  const std::vector<float> gamma = {1.0f, -2.0f}, beta = {0.5f, -1.0f};
  EXPECT_EQ(ChannelMaxOfNorm(gamma, beta), (std::vector<float>{3.5f, 7.0f}));
}

}  // namespace
}  // namespace octet::model
