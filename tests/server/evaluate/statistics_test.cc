// The statistics of `octet evaluate` against values that other implementations computed: scipy 1.17.1 (correlations),
// scikit-learn 1.9.1 (F1, nDCG), ranx 0.3.20 (nDCG, recall, MRR), numpy 2 (quantiles), and by hand.
#include <cmath>
#include <numeric>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/cli/evaluate/bootstrap.h"
#include "server/cli/evaluate/classification_metrics.h"
#include "server/cli/evaluate/correlation.h"
#include "server/cli/evaluate/ranking_metrics.h"

namespace octet::cli {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;

// A handful of double operations on values near 1.
constexpr double kTolerance = 1e-13;

const std::vector<double> kTiedA = {1, 2, 2, 3, 5, 5, 5, 8};
const std::vector<double> kTiedB = {0.1, 0.4, 0.35, 0.4, 0.9, 0.2, 0.9, 0.7};

TEST(CorrelationTest, TiesShareTheirMeanRank) {
  EXPECT_THAT(AverageRanks(kTiedA), ElementsAre(1, 2.5, 2.5, 4, 6, 6, 6, 8));
  EXPECT_THAT(AverageRanks(kTiedB), ElementsAre(1, 4.5, 3, 4.5, 7.5, 2, 7.5, 6));
  EXPECT_TRUE(AverageRanks({}).empty());
}

TEST(CorrelationTest, EqualsScipy) {
  EXPECT_NEAR(Pearson(kTiedA, kTiedB), 0.630859963388323, kTolerance);
  EXPECT_NEAR(Spearman(kTiedA, kTiedB), 0.639862645418174, kTolerance);
  const std::vector<double> a = {3.0, -1.5, 2.25, 0.0, 7.5}, b = {-2.0, 4.0, 0.5, 1.0, -9.0};
  EXPECT_NEAR(Pearson(a, b), -0.978938689766095, kTolerance);
  EXPECT_NEAR(Spearman(a, b), -1, kTolerance);
}

TEST(CorrelationTest, IsNotDefinedForConstantsAndSinglePairs) {
  const std::vector<double> constant(7, 0.1), other = {1, 2, 3, 4, 5, 6, 7};
  EXPECT_TRUE(std::isnan(Pearson(constant, other)));
  EXPECT_TRUE(std::isnan(Spearman(other, constant)));
  EXPECT_TRUE(std::isnan(Pearson({other.data(), 1}, {other.data(), 1})));
}

TEST(CorrelationTest, StaysWithinOneForLargeOffsets) {
  const std::vector<double> a = {1e8, 1e8 + 1, 1e8 + 2};
  EXPECT_LE(Pearson(a, a), 1);
  EXPECT_NEAR(Pearson(a, a), 1, kTolerance);
}

std::vector<LabelSet> OneEach(const std::vector<uint32_t>& labels) {
  std::vector<LabelSet> sets;
  for (const uint32_t label : labels) sets.push_back({label});
  return sets;
}

std::vector<uint32_t> All(size_t size) {
  std::vector<uint32_t> all(size);
  std::iota(all.begin(), all.end(), 0u);
  return all;
}

TEST(ClassificationMetricsTest, EqualsScikitLearnWithOneLabelEach) {
  const auto truth = OneEach({0, 0, 1, 2, 2, 2, 4, 1}), predicted = OneEach({0, 1, 1, 2, 0, 2, 2, 1});
  const LabelScores scores = ScoreLabels(truth, predicted, 5, All(8));  // nobody has label 3
  EXPECT_NEAR(scores.accuracy, 0.625, kTolerance);
  EXPECT_NEAR(scores.micro_f1, 0.625, kTolerance);
  EXPECT_NEAR(scores.macro_f1, 0.491666666666667, 1e-12);
}

TEST(ClassificationMetricsTest, EqualsScikitLearnWithSeveralLabels) {
  const std::vector<LabelSet> truth = {{0, 2}, {1}, {}, {0, 1}, {2}}, predicted = {{0}, {1, 2}, {}, {0, 1}, {2}};
  const LabelScores scores = ScoreLabels(truth, predicted, 4, All(5));
  EXPECT_NEAR(scores.accuracy, 0.6, kTolerance);
  EXPECT_NEAR(scores.micro_f1, 0.833333333333333, 1e-12);
  EXPECT_NEAR(scores.macro_f1, 0.833333333333333, 1e-12);
}

TEST(ClassificationMetricsTest, CountsRepeatedTextsOfASample) {
  const auto truth = OneEach({0, 1}), predicted = OneEach({0, 0});
  EXPECT_NEAR(ScoreLabels(truth, predicted, 2, std::vector<uint32_t>{0, 0, 0, 1}).accuracy, 0.75, kTolerance);
  // Label 1 has no text in this sample, so that macro F1 is label 0's alone.
  EXPECT_NEAR(ScoreLabels(truth, predicted, 2, std::vector<uint32_t>{0, 0}).macro_f1, 1, kTolerance);
}

TEST(ClassificationMetricsTest, DecidesFromLogits) {
  // 1 / (1 + exp(-x)): 0.5 at 0, 0.731 at 1, 0.269 at -1.
  const std::vector<float> logits = {0, 1, -1, 2, 2, -3};
  const MatrixView<const float> rows(logits.data(), 2, 3);
  EXPECT_THAT(LargestLabels(rows), ElementsAre(LabelSet{1}, LabelSet{0}));
  EXPECT_THAT(LabelsAbove(rows, 0.5), ElementsAre(LabelSet({0, 1}), LabelSet({0, 1})));
  EXPECT_THAT(LabelsAbove(rows, 0.6), ElementsAre(LabelSet{1}, LabelSet({0, 1})));
  EXPECT_THAT(LabelsAbove(rows, 0.9), ElementsAre(LabelSet{}, LabelSet{}));
}

TEST(ClassificationMetricsTest, FindsTheThresholdThatSeparates) {
  // Probabilities 0.731 for true labels and 0.622 for false ones: every threshold in (0.622, 0.731] is perfect, and
  // 0.63 is the one of the grid nearest to 0.5.
  const std::vector<float> logits = {1, 0.5f, 0.5f, 1};
  const std::vector<LabelSet> truth = {{0}, {1}};
  EXPECT_NEAR(BestThreshold({logits.data(), 2, 2}, truth), 0.63, kTolerance);
}

// Ranked x c a y d z z z z z | z b with grades a 2, b 1, c 3, d 1: b is at rank 12.
const std::vector<double> kGains = {0, 3, 2, 0, 1, 0, 0, 0, 0, 0, 0, 1};
const std::vector<double> kJudged = {2, 1, 3, 1};

TEST(RankingMetricsTest, EqualsOtherImplementations) {
  EXPECT_NEAR(NdcgAt(10, kGains, kJudged), 0.6316069887156945, kTolerance);  // ranx
  // By hand: (3 / log2 3 + 2 / log2 4) / (3 + 2 / log2 3 + 1 / 2).
  EXPECT_NEAR(NdcgAt(3, kGains, kJudged), (3 / std::log2(3) + 1) / (3.5 + 2 / std::log2(3)), kTolerance);
  EXPECT_NEAR(RecallAt(10, kGains, kJudged), 0.75, kTolerance);
  EXPECT_NEAR(RecallAt(12, kGains, kJudged), 1, kTolerance);
  EXPECT_NEAR(ReciprocalRankAt(10, kGains), 0.5, kTolerance);
}

TEST(RankingMetricsTest, KnowsTheExtremes) {
  const std::vector<double> best = {3, 2, 1, 1}, none = {0, 0, 0};
  EXPECT_NEAR(NdcgAt(10, best, kJudged), 1, kTolerance);
  EXPECT_EQ(NdcgAt(10, none, kJudged), 0);
  EXPECT_EQ(RecallAt(10, none, kJudged), 0);
  EXPECT_EQ(ReciprocalRankAt(10, none), 0);
  EXPECT_EQ(ReciprocalRankAt(1, kGains), 0);  // the first relevant document is at rank 2
  EXPECT_EQ(NdcgAt(10, {}, kJudged), 0);
}

TEST(BootstrapTest, QuantilesEqualNumpy) {
  const std::vector<double> values = {1.5, 0.25, -3, std::nan(""), 4, 2, 8, 0.5};
  const auto interval = PercentileInterval(values);
  ASSERT_TRUE(interval.has_value());
  EXPECT_NEAR(interval->low, -2.5125, kTolerance);
  EXPECT_NEAR(interval->high, 7.4, kTolerance);
  EXPECT_FALSE(PercentileInterval(std::vector<double>(3, std::nan(""))).has_value());
}

double MeanOf(std::span<const uint32_t> sample) {
  return std::accumulate(sample.begin(), sample.end(), 0.0) / static_cast<double>(sample.size());
}

TEST(BootstrapTest, IntervalOfAMeanIsThatOfTheNormalLaw) {
  // The mean of n values has standard error s / sqrt(n), here that of 0..399: 115.47 / 20 = 5.77. The interval's ends
  // have a standard error of 0.06 of that (bootstrap.h), 0.35: four of them are allowed.
  const auto interval = PercentileInterval(BootstrapReplicates(400, {}, MeanOf));
  ASSERT_TRUE(interval.has_value());
  EXPECT_NEAR(interval->low, 199.5 - 1.96 * 5.77, 1.4);
  EXPECT_NEAR(interval->high, 199.5 + 1.96 * 5.77, 1.4);
}

TEST(BootstrapTest, SameSeedDrawsTheSameSamples) {
  const BootstrapOptions options{.num_resamples = 50, .seed = 7};
  const std::vector<double> first = BootstrapReplicates(30, options, MeanOf);
  EXPECT_EQ(first, BootstrapReplicates(30, options, MeanOf));
  EXPECT_NE(first, BootstrapReplicates(30, {.num_resamples = 50, .seed = 8}, MeanOf));
  // Paired: a constant advantage has no spread, whatever the spread of the values themselves.
  const std::vector<double> better =
      BootstrapReplicates(30, options, [](std::span<const uint32_t> sample) { return MeanOf(sample) + 2; });
  const auto difference = DifferenceInterval(better, first);
  ASSERT_TRUE(difference.has_value());
  EXPECT_NEAR(difference->low, 2, 1e-12);
  EXPECT_NEAR(difference->high, 2, 1e-12);
}

TEST(BootstrapTest, SamplesAreFixedOnEveryMachine) {
  // The first output of std::mt19937_64 for seed 5489 is 14514284786278117030 (its high half 3379411371), the second
  // 4620546740167642908 (1075804560): times 1000, shifted by 32 bits.
  std::vector<uint32_t> sample;
  BootstrapReplicates(1000, {.num_resamples = 1, .seed = 5489}, [&](std::span<const uint32_t> drawn) {
    sample.assign(drawn.begin(), drawn.end());
    return 0.0;
  });
  ASSERT_EQ(sample.size(), 1000u);
  EXPECT_EQ(sample[0], 14514284786278117030u / (1u << 16) / (1u << 16) * 1000 >> 32);
  EXPECT_EQ(sample[1], 4620546740167642908u / (1u << 16) / (1u << 16) * 1000 >> 32);
  EXPECT_THAT(sample, Each(testing::Lt(1000u)));
}

}  // namespace
}  // namespace octet::cli
