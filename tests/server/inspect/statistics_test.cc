// The statistics of octet inspect against values worked out by hand.
#include <cmath>
#include <numeric>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/cli/inspect/histogram.h"
#include "server/cli/inspect/value_statistics.h"

namespace octet::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

uint64_t Sum(const std::vector<uint64_t>& counts) { return std::accumulate(counts.begin(), counts.end(), uint64_t{0}); }

TEST(ValueStatisticsTest, SaysRangeAndValuesFarOut) {
  // 198 of +-1 and two of +-20: variance (198 + 800) / 200 = 4.99, six deviations are 13.4.
  std::vector<float> values(200);
  for (size_t i = 0; i < values.size(); ++i) values[i] = i % 2 == 0 ? 1.0f : -1.0f;
  values[10] = 20;
  values[11] = -20;
  const ValueSummary summary = SummarizeValues(values, 2);
  EXPECT_EQ(summary.min, -20);
  EXPECT_EQ(summary.max, 20);
  EXPECT_EQ(summary.abs_max(), 20);
  EXPECT_DOUBLE_EQ(summary.far_share, 0.01);
  EXPECT_EQ(summary.num_outlier_channels, 0u);  // both reach 20
}

TEST(ValueStatisticsTest, FarOutIsMeasuredFromTheMean) {
  std::vector<float> values(1000, 100.0f);
  values[0] = 101;  // all others equal: the deviation is 0.03
  EXPECT_DOUBLE_EQ(SummarizeValues(values, 1).far_share, 0.001);
  EXPECT_EQ(SummarizeValues(std::vector<float>(8, 5.0f), 2).far_share, 0);
}

TEST(ValueStatisticsTest, LargestOfNegativeValuesIsPositive) {
  EXPECT_EQ(SummarizeValues(std::vector<float>{-3, -2}, 1).abs_max(), 3);
}

TEST(ValueStatisticsTest, OutlierChannelsAreColumnsBeyondSixTimesTheMedian) {
  // Columns reach 1, 1, 6.5 and 2; the median is 1.5 and six times it 9.
  EXPECT_EQ(SummarizeValues(std::vector<float>{1, 0, 0, 2, 0, -1, -6.5f, 0}, 4).num_outlier_channels, 0u);
  EXPECT_EQ(SummarizeValues(std::vector<float>{1, 0, 0, 2, 0, -1, -9.5f, 0}, 4).num_outlier_channels, 1u);
  EXPECT_EQ(CountOutlierChannels(std::vector<float>{1, 6, 1}), 0u);  // not more than six times
  EXPECT_EQ(CountOutlierChannels(std::vector<float>{1, 6.1f, 1}), 1u);
}

TEST(ValueStatisticsTest, DecibelsNeedSignalAndNoise) {
  EXPECT_DOUBLE_EQ(*Decibels(1000, 1), 30);
  EXPECT_DOUBLE_EQ(*Decibels(1, 10), -10);
  EXPECT_FALSE(Decibels(1, 0).has_value());
  EXPECT_FALSE(Decibels(0, 1).has_value());
}

TEST(ValueStatisticsTest, NoiseIsOfTheRoundedValuesByRowWeight) {
  const std::vector<float> original = {3, 4, 1, 0}, rounded = {3, 3, 1, 2};
  // Signals 25 and 1, noises 1 and 4.
  EXPECT_NEAR(*InspectValues(original, rounded, 2, {}).signal_to_noise_db, 10 * std::log10(26.0 / 5), 1e-12);
  const std::vector<float> weights = {1.0f, 0.25f};
  EXPECT_NEAR(*InspectValues(original, rounded, 2, weights).signal_to_noise_db, 10 * std::log10(25.25 / 2), 1e-12);
  EXPECT_FALSE(InspectValues(original, original, 2, {}).signal_to_noise_db.has_value());
}

TEST(ValueStatisticsTest, WithoutTheOriginalTheSummaryIsOfRoundedValues) {
  const ValueInspection inspection = InspectValues({}, std::vector<float>{1, -2}, 1, {});
  EXPECT_EQ(inspection.summary.min, -2);
  EXPECT_FALSE(inspection.signal_to_noise_db.has_value());
  EXPECT_TRUE(inspection.histogram.original.empty());
  EXPECT_EQ(Sum(inspection.histogram.rounded), 2u);
}

TEST(HistogramTest, CountsEveryValueOnceInItsBin) {
  const std::vector<float> original = {0, 1, 32, 63.5f, 64}, rounded = {0, 0, 32, 64, 64};
  const Histogram histogram = MakeHistogram(original, rounded);
  EXPECT_EQ(histogram.low, 0);
  EXPECT_EQ(histogram.high, 64);
  ASSERT_EQ(histogram.original.size(), 64u);
  EXPECT_EQ(Sum(histogram.original), 5u);
  for (const size_t bin : {size_t{0}, size_t{1}, size_t{32}}) EXPECT_EQ(histogram.original[bin], 1u) << bin;
  EXPECT_EQ(histogram.original[63], 2u);  // the end belongs to the last bin
  EXPECT_EQ(histogram.rounded[0], 2u);
  EXPECT_EQ(histogram.rounded[63], 2u);
}

TEST(HistogramTest, RangeIsOfBoth) {
  const Histogram histogram = MakeHistogram(std::vector<float>{-1, 1}, std::vector<float>{-2, 0});
  EXPECT_EQ(histogram.low, -2);
  EXPECT_EQ(histogram.high, 1);
}

TEST(HistogramTest, EqualValuesHaveARangeAroundThem) {
  for (const float value : {0.0f, 1e-30f, -7.0f, 1e30f}) {
    const Histogram histogram = MakeHistogram(std::vector<float>(3, value), {});
    EXPECT_LT(histogram.low, histogram.high);
    EXPECT_EQ(histogram.original[kHistogramBins / 2], 3u) << value;
  }
}

TEST(HistogramTest, DrawingIsLogarithmicAndHasBoth) {
  Histogram histogram{.low = -1, .high = 1, .original = {}, .rounded = std::vector<uint64_t>(kHistogramBins, 0)};
  histogram.rounded[0] = 9;  // log(10): half of log(100)
  histogram.rounded[1] = 99;
  const std::string after_only = HistogramSvg(histogram, "<x>");
  EXPECT_THAT(after_only, Not(HasSubstr("\"before\"")));
  EXPECT_THAT(after_only, HasSubstr("&lt;x&gt;, log counts up to 99"));
  // From the bottom (130) half way to the top (22), then to the top.
  EXPECT_THAT(after_only, HasSubstr("class=\"after\" d=\"M4.0 130.0V76.0H9.5V22.0H15.0V130.0"));
  histogram.original = histogram.rounded;
  EXPECT_THAT(HistogramSvg(histogram, "x"), HasSubstr("\"before\""));
}

}  // namespace
}  // namespace octet::cli
