#include "model/quantize/range_observer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "tests/model/quantize/random_linear.h"

namespace octet::model {
namespace {

// Values between -1 and 2 in texts of ten, evenly spread.
LinearInputs EvenValues(size_t num_rows) {
  LinearInputs inputs{.dim = 4, .rows = {}, .text_of_row = {}};
  for (size_t r = 0; r < num_rows; ++r) {
    for (size_t c = 0; c < 4; ++c) {
      inputs.rows.push_back(-1 + 3 * static_cast<float>(4 * r + c) / static_cast<float>(4 * num_rows - 1));
    }
    inputs.text_of_row.push_back(static_cast<uint32_t>(r / 10));
  }
  return inputs;
}

TEST(RangeObserverTest, MinMaxSeesAllAndHoldsZero) {
  const ValueRange range = ObserveRange(RangeObserver::kMinMax, EvenValues(100), {});
  EXPECT_FLOAT_EQ(range.min, -1);
  EXPECT_FLOAT_EQ(range.max, 2);
  const LinearInputs positive{.dim = 2, .rows = {1, 3}, .text_of_row = {0}};
  EXPECT_EQ(ObserveRange(RangeObserver::kMinMax, positive, {}).min, 0);
}

TEST(RangeObserverTest, FactorsComeFirst) {
  const LinearInputs inputs{.dim = 2, .rows = {1, -3}, .text_of_row = {0}};
  const std::vector<float> factors = {10, 2};
  const ValueRange range = ObserveRange(RangeObserver::kMinMax, inputs, factors);
  EXPECT_EQ(range.min, -6);
  EXPECT_EQ(range.max, 10);
}

TEST(RangeObserverTest, MovingAverageFollowsTexts) {
  const LinearInputs inputs{.dim = 1, .rows = {1, 2, -4, 8}, .text_of_row = {0, 0, 1, 2}};
  const ValueRange range = ObserveRange(RangeObserver::kMovingAverage, inputs, {});
  // Texts [0, 2], [-4, 0], [0, 8]; the first starts the average, each then counts a hundredth.
  EXPECT_NEAR(range.max, (2 * 0.99 + 0) * 0.99 + 8 * 0.01, 1e-5);
  EXPECT_NEAR(range.min, (0 * 0.99 - 4 * 0.01) * 0.99 + 0, 1e-5);
}

TEST(RangeObserverTest, RareOutliersAreCutByAllButMinMax) {
  constexpr size_t kNumValues = 1'000'000;
  LinearInputs inputs{.dim = 4, .rows = {}, .text_of_row = std::vector<uint32_t>(kNumValues / 4, 0)};
  std::mt19937 random(7);
  std::normal_distribution<float> normal;
  for (size_t i = 0; i < kNumValues; ++i) inputs.rows.push_back(normal(random));
  inputs.rows[40] = 20;
  EXPECT_EQ(ObserveRange(RangeObserver::kMinMax, inputs, {}).max, 20);
  // 5e-5 of a normal distribution lies above 3.9.
  EXPECT_NEAR(ObserveRange(RangeObserver::kPercentile, inputs, {}).max, 3.9, 0.1);
  // Squared error of a range [-5, r]: N ((r + 5) / 255)^2 / 12 from rounding and (20 - r)^2 from the outlier, least at
  // r = 6.0; a little more where the lower end moves up as well.
  EXPECT_NEAR(ObserveRange(RangeObserver::kMse, inputs, {}).max, 6.3, 0.5);
  EXPECT_LT(ObserveRange(RangeObserver::kEntropy, inputs, {}).max, 12);
}

TEST(RangeObserverTest, EvenValuesAreNotCut) {
  const LinearInputs inputs = EvenValues(5000);
  for (const RangeObserver observer : {RangeObserver::kPercentile, RangeObserver::kEntropy, RangeObserver::kMse}) {
    const ValueRange range = ObserveRange(observer, inputs, {});
    EXPECT_GT(range.max, 1.9f) << RangeObserverName(observer);
    EXPECT_LT(range.min, -0.95f) << RangeObserverName(observer);
  }
}

TEST(RangeObserverTest, ZerosGetAScale) {
  const LinearInputs inputs{.dim = 3, .rows = {0, 0, 0}, .text_of_row = {0}};
  for (const RangeObserver observer : {RangeObserver::kMinMax, RangeObserver::kMovingAverage,
                                       RangeObserver::kPercentile, RangeObserver::kEntropy, RangeObserver::kMse}) {
    const kernels::RowQuantization row = QuantizationOf(ObserveRange(observer, inputs, {}));
    EXPECT_EQ(row.scale, 1);
    EXPECT_EQ(row.zero_point, 0);
  }
}

TEST(RangeObserverTest, NamesAreRead) {
  for (const char* name : {"min_max", "moving_average", "percentile", "entropy", "mse"}) {
    ASSERT_TRUE(ParseRangeObserver(name).ok()) << name;
    EXPECT_EQ(RangeObserverName(*ParseRangeObserver(name)), name);
  }
  EXPECT_THAT(std::string(ParseRangeObserver("max").status().message()), ::testing::HasSubstr("min_max, moving"));
}

}  // namespace
}  // namespace octet::model
