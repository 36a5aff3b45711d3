#include "model/predictions.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace octet::model {

static bool operator==(const Prediction& a, const Prediction& b) {
  return a.label_idx == b.label_idx && a.score == b.score;
}

namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr float kMax = std::numeric_limits<float>::max();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

std::vector<float> Scores(ScoreActivation activation, const std::vector<float>& logits) {
  std::vector<float> scores(logits.size());
  ComputeScores(activation, logits, scores);
  return scores;
}

TEST(ComputeScoresTest, AreThoseOfTheDefinition) {
  const std::vector<float> logits = {1.5f, -0.5f, 0.25f};
  const double sum = std::exp(1.5) + std::exp(-0.5) + std::exp(0.25);
  const std::vector<float> softmax = Scores(ScoreActivation::kSoftmax, logits);
  const std::vector<float> sigmoid = Scores(ScoreActivation::kSigmoid, logits);
  for (size_t i = 0; i < logits.size(); ++i) {
    // Computed in f64: exact but for the last rounding to f32.
    EXPECT_FLOAT_EQ(softmax[i], static_cast<float>(std::exp(double{logits[i]}) / sum));
    EXPECT_FLOAT_EQ(sigmoid[i], static_cast<float>(1 / (1 + std::exp(-double{logits[i]}))));
  }
  EXPECT_EQ(Scores(ScoreActivation::kRaw, logits), logits);
}

TEST(ComputeScoresTest, TheLargestLogitsDoNotOverflow) {
  EXPECT_THAT(Scores(ScoreActivation::kSoftmax, {kMax, kMax, -kMax}), ElementsAre(0.5f, 0.5f, 0.0f));
  EXPECT_THAT(Scores(ScoreActivation::kSoftmax, {-kMax}), ElementsAre(1.0f));
  EXPECT_THAT(Scores(ScoreActivation::kSigmoid, {kMax, 0.0f, -kMax}), ElementsAre(1.0f, 0.5f, 0.0f));
}

TEST(ComputeScoresTest, ANanIsSeen) {
  const std::vector<float> softmax = Scores(ScoreActivation::kSoftmax, {1, kNan, 2});
  for (const float score : softmax) EXPECT_TRUE(std::isnan(score));
  const std::vector<float> sigmoid = Scores(ScoreActivation::kSigmoid, {0, kNan});
  EXPECT_EQ(sigmoid[0], 0.5f);
  EXPECT_TRUE(std::isnan(sigmoid[1]));
}

TEST(ComputeScoresTest, MayBeDoneInPlace) {
  for (const auto activation : {ScoreActivation::kSoftmax, ScoreActivation::kSigmoid, ScoreActivation::kRaw}) {
    std::vector<float> values = {3, -1, 2};
    const std::vector<float> apart = Scores(activation, values);
    ComputeScores(activation, values, values);
    EXPECT_EQ(values, apart);
  }
}

TEST(PredictTest, IsSortedWithEqualScoresInTheOrderOfTheLabels) {
  EXPECT_THAT(Predict(std::vector<float>{1, 3, 1, 3, 2}, {.activation = ScoreActivation::kRaw}),
              ElementsAre(Prediction{1, 3}, Prediction{3, 3}, Prediction{4, 2}, Prediction{0, 1}, Prediction{2, 1}));
}

TEST(PredictTest, TopKKeepsTheBest) {
  const std::vector<float> logits = {1, 3, 1, 3, 2};
  EXPECT_THAT(Predict(logits, {.activation = ScoreActivation::kRaw, .top_k = 2}),
              ElementsAre(Prediction{1, 3}, Prediction{3, 3}));
  EXPECT_EQ(Predict(logits, {.activation = ScoreActivation::kRaw, .top_k = 9}).size(), 5u);
}

TEST(PredictTest, EachLabelHasItsOwnThreshold) {
  const std::vector<float> logits = {1, 2, 3};
  EXPECT_THAT(Predict(logits, {.activation = ScoreActivation::kRaw, .thresholds = {1, 2.5f, -4}}),
              ElementsAre(Prediction{2, 3}, Prediction{0, 1}));
  EXPECT_THAT(Predict(logits, {.activation = ScoreActivation::kSigmoid, .thresholds = {2, 2, 2}}), IsEmpty());
}

TEST(PredictTest, ANanComesLastAndPassesNoThreshold) {
  const std::vector<float> logits = {kNan, 1, kNan, 2};
  const auto all = Predict(logits, {.activation = ScoreActivation::kRaw});
  ASSERT_EQ(all.size(), 4u);
  EXPECT_EQ(all[0].label_idx, 3u);
  EXPECT_EQ(all[1].label_idx, 1u);
  EXPECT_EQ(all[2].label_idx, 0u);
  EXPECT_EQ(all[3].label_idx, 2u);
  EXPECT_EQ(Predict(logits, {.activation = ScoreActivation::kRaw, .thresholds = {0, 0, 0, 0}}).size(), 2u);
}

}  // namespace
}  // namespace octet::model
