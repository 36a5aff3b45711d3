#include "serving/shadow_compare.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

namespace octet::serving {
namespace {

using model::PredictionOptions;
using model::ScoreActivation;

TEST(IsSampledTest, TheHashIsTheOneThatIsDocumented) {
  // From another implementation of FNV-1a and fmix64, of [101, 7592, 102]: 0xbe79a4fa8a4a905a / 2^64.
  constexpr double kHash = 0.744043646972;
  const std::vector<int32_t> ids = {101, 7592, 102};
  EXPECT_FALSE(IsSampled(ids, kHash - 1e-9));
  EXPECT_TRUE(IsSampled(ids, kHash + 1e-9));
}

TEST(IsSampledTest, NothingOfShareZeroAllOfShareOneAndSharesAreNested) {
  constexpr int kNumTexts = 10000;
  int num_quarter = 0;
  for (int i = 0; i < kNumTexts; ++i) {
    const std::vector<int32_t> ids = {101, 1000 + i, 102};
    EXPECT_FALSE(IsSampled(ids, 0));
    EXPECT_TRUE(IsSampled(ids, 1));
    const bool in_quarter = IsSampled(ids, 0.25);
    num_quarter += in_quarter;
    EXPECT_TRUE(!in_quarter || IsSampled(ids, 0.5));
  }
  // Binomial with p = 1/4: 2500, standard deviation 43.
  EXPECT_NEAR(num_quarter, 2500, 4 * 43);
}

TEST(IsSampledTest, EveryIdCounts) {
  int num_different = 0;
  for (int i = 0; i < 1000; ++i) {
    num_different += IsSampled(std::vector<int32_t>{5, i}, 0.5) != IsSampled(std::vector<int32_t>{5, i + 1}, 0.5);
  }
  EXPECT_NEAR(num_different, 500, 4 * 16);  // binomial with p = 1/2
}

TEST(CosineDistanceTest, IsOneMinusCosineWhateverTheLengths) {
  EXPECT_EQ(CosineDistance(std::vector<float>{3, 4}, std::vector<float>{30, 40}), 0);
  EXPECT_DOUBLE_EQ(CosineDistance(std::vector<float>{1, 0}, std::vector<float>{0, 5}), 1);
  EXPECT_DOUBLE_EQ(CosineDistance(std::vector<float>{2, 0}, std::vector<float>{-1, 0}), 2);
  EXPECT_NEAR(CosineDistance(std::vector<float>{1, 0}, std::vector<float>{1, 1}), 1 - std::sqrt(0.5), 1e-15);
}

TEST(CosineDistanceTest, SmallDistancesKeepTheirDigits) {
  // Two unit vectors an angle t apart: 1 - cos t = t^2 / 2 - t^4 / 24.
  const float t = 1e-4f;
  EXPECT_NEAR(CosineDistance(std::vector<float>{1, 0}, std::vector<float>{1, t}), 0.5 * double{t} * t, 1e-15);
}

TEST(CosineDistanceTest, ZerosAndWhatIsNotFinite) {
  const std::vector<float> zero = {0, 0}, one = {1, 0}, nan = {std::nanf(""), 0};
  const std::vector<float> infinite = {std::numeric_limits<float>::infinity(), 0};
  EXPECT_EQ(CosineDistance(zero, zero), 0);
  EXPECT_EQ(CosineDistance(zero, one), 1);
  EXPECT_EQ(CosineDistance(one, zero), 1);
  EXPECT_TRUE(std::isnan(CosineDistance(nan, one)));
  EXPECT_TRUE(std::isnan(CosineDistance(one, infinite)));
}

TEST(IsLabelFlipTest, SoftmaxWithoutChoiceIsTheBestLabel) {
  const PredictionOptions softmax = {.activation = ScoreActivation::kSoftmax};
  EXPECT_FALSE(IsLabelFlip(std::vector<float>{3, 1, 2}, std::vector<float>{3, 2, 1}, softmax));
  EXPECT_TRUE(IsLabelFlip(std::vector<float>{3, 2.9f, 0}, std::vector<float>{2.9f, 3, 0}, softmax));
}

TEST(IsLabelFlipTest, SigmoidWithoutChoiceIsEveryLabelOfAtLeastHalf) {
  const PredictionOptions sigmoid = {.activation = ScoreActivation::kSigmoid};
  EXPECT_FALSE(IsLabelFlip(std::vector<float>{1, 2, -1}, std::vector<float>{2, 1, -3}, sigmoid));
  EXPECT_TRUE(IsLabelFlip(std::vector<float>{1, 0.1f, -1}, std::vector<float>{1, -0.1f, -1}, sigmoid));
}

TEST(IsLabelFlipTest, RawScoresDecideNothingUnlessToldTo) {
  const std::vector<float> low = {1}, high = {4};
  EXPECT_FALSE(IsLabelFlip(low, high, {.activation = ScoreActivation::kRaw}));
  EXPECT_TRUE(IsLabelFlip(low, high, {.activation = ScoreActivation::kRaw, .thresholds = {2}}));
}

TEST(IsLabelFlipTest, TheModelsOwnChoiceDecides) {
  const std::vector<float> served = {3, 2, 1}, reference = {3, 1, 2};
  EXPECT_TRUE(IsLabelFlip(served, reference, {.top_k = 2}));
  EXPECT_FALSE(IsLabelFlip(served, reference, {.top_k = 3}));
  // Softmax of 3, 2, 1 is 0.67, 0.24, 0.09.
  EXPECT_TRUE(IsLabelFlip(served, reference, {.thresholds = {0.5f, 0.2f, 0.2f}}));
  EXPECT_FALSE(IsLabelFlip(served, reference, {.thresholds = {0.5f, 0.5f, 0.5f}}));
}

}  // namespace
}  // namespace octet::serving
