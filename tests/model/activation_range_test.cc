// Ranges shared by a text, and moving averages of ranges over batches. That answers with one range a text do not depend
// on their neighbors is shown by encoder_invariance_test.
#include "model/activation_range.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "model/range_history.h"
#include "model/text_model.h"
#include "tests/model/tiny_model.h"

namespace octet::model {
namespace {

using octet::testing::TempDir;
using octet::testing::WriteTinyModel;
using ::testing::HasSubstr;

using Ids = std::vector<int32_t>;

class ActivationRangeTest : public ::testing::Test {
 protected:
  void SetUp() override { WriteTinyModel(dir_.path(), {.max_seq_length = 0}); }

  absl::StatusOr<std::shared_ptr<const TextModel>> Load(ActivationRange range, double momentum = kDefaultMomentum,
                                                        std::shared_ptr<const QuantizationPlan> plan = nullptr,
                                                        Precision precision = Precision::kInt8) {
    return TextModel::Load(dir_.path(), {.precision = precision,
                                         .isa = DetectIsa(),
                                         .max_batch_tokens = 256,
                                         .plan = std::move(plan),
                                         .activation_range = range,
                                         .momentum = momentum,
                                         .needs_text = false});
  }

  // All texts in one batch, one after the other: [texts.size() * hidden_dim].
  static std::vector<float> Embed(const TextModel& model, EncoderWorkspace* workspace, const std::vector<Ids>& texts) {
    Ids ids;
    std::vector<uint32_t> starts = {0};
    for (const Ids& text : texts) {
      ids.insert(ids.end(), text.begin(), text.end());
      starts.push_back(static_cast<uint32_t>(ids.size()));
    }
    std::vector<float> vectors(texts.size() * model.info().hidden_dim);
    EXPECT_TRUE(model
                    .Embed({.ids = ids, .type_ids = {}, .starts = starts}, workspace,
                           {vectors.data(), texts.size(), model.info().hidden_dim})
                    .ok());
    return vectors;
  }

  static double Cosine(const std::vector<float>& a, const std::vector<float>& b) {
    double ab = 0, aa = 0, bb = 0;
    for (size_t i = 0; i < a.size(); ++i) {
      ab += static_cast<double>(a[i]) * b[i];
      aa += static_cast<double>(a[i]) * a[i];
      bb += static_cast<double>(b[i]) * b[i];
    }
    return ab / std::sqrt(aa * bb);
  }

  const TempDir dir_;
  kernels::ThreadTeam team_{1};
  const Ids lone_ = {17};
  const Ids text_ = {2, 11, 45, 80, 7, 33, 90, 3};
  const Ids other_ = {2, 101, 99, 64, 3};
};

TEST_F(ActivationRangeTest, OneRangeATextIsTheTokensOwnForOneToken) {
  const auto per_token = Load(ActivationRange::kPerToken);
  const auto per_text = Load(ActivationRange::kPerText);
  ASSERT_TRUE(per_token.ok() && per_text.ok()) << per_text.status();
  const auto token_workspace = (*per_token)->NewWorkspace(&team_);
  const auto text_workspace = (*per_text)->NewWorkspace(&team_);
  EXPECT_EQ(Embed(**per_token, token_workspace.get(), {lone_}), Embed(**per_text, text_workspace.get(), {lone_}));
  const auto by_token = Embed(**per_token, token_workspace.get(), {text_});
  const auto by_text = Embed(**per_text, text_workspace.get(), {text_});
  EXPECT_NE(by_token, by_text);
  EXPECT_GT(Cosine(by_token, by_text), 0.99);
}

TEST_F(ActivationRangeTest, TheNameAndTheFingerprintSayIt) {
  const auto per_token = Load(ActivationRange::kPerToken);
  const auto per_text = Load(ActivationRange::kPerText);
  ASSERT_TRUE(per_token.ok() && per_text.ok());
  EXPECT_EQ((*per_token)->info().quantization, "dynamic");
  EXPECT_EQ((*per_text)->info().quantization, "dynamic per_text");
  EXPECT_NE((*per_token)->info().fingerprint, (*per_text)->info().fingerprint);
}

TEST_F(ActivationRangeTest, TheAverageStartsWithTheFirstBatchAndMovesWithEveryOther) {
  const auto per_token = Load(ActivationRange::kPerToken);
  const auto average = Load(ActivationRange::kMovingAverage, 0.5);
  ASSERT_TRUE(per_token.ok() && average.ok()) << average.status();
  const auto workspace = (*average)->NewWorkspace(&team_);
  const auto first = Embed(**average, workspace.get(), {text_});
  // No history yet: the rows' own ranges.
  EXPECT_EQ(first, Embed(**per_token, (*per_token)->NewWorkspace(&team_).get(), {text_}));
  const auto second = Embed(**average, workspace.get(), {text_});
  EXPECT_NE(second, first);
  EXPECT_GT(Cosine(second, first), 0.99);
  Embed(**average, workspace.get(), {other_, lone_});
  const auto after_others = Embed(**average, workspace.get(), {text_});
  EXPECT_NE(after_others, second);
  EXPECT_GT(Cosine(after_others, first), 0.97);
  workspace->ForgetHistory();
  EXPECT_EQ(Embed(**average, workspace.get(), {text_}), first);
}

TEST_F(ActivationRangeTest, RefusesWhatHasNoRangesOfItsOwn) {
  const auto message = [](const auto& result) { return std::string(result.status().message()); };
  EXPECT_EQ(message(Load(ActivationRange::kPerText, 0.9, nullptr, Precision::kF32)),
            "activation_range: per_text, but no layer is computed in int8; take per_token");
  EXPECT_EQ(message(Load(ActivationRange::kMovingAverage, 1)), "momentum: 1, allowed are 0 to below 1");
  auto plan = std::make_shared<QuantizationPlan>();
  plan->linears.resize(2 * kLinearsPerLayer);
  plan->linears[3].input = {.range = kernels::RowRange::kFixed, .fixed = {.scale = 0.02f, .zero_point = 120}};
  EXPECT_THAT(message(Load(ActivationRange::kPerText, 0.9, plan)), HasSubstr("have fixed or symmetric ranges"));
  EXPECT_THAT(message(ParseActivationRange("per_batch")), HasSubstr("per_token, per_text, moving_average"));
}

TEST(RangeHistoryTest, AveragesWhatAllThreadsHaveSeen) {
  RangeHistory history(2, 2, 0.75);
  EXPECT_FALSE(history.has_average());
  Widen({-1, 2}, &history.seen(0)[0]);
  Widen({-3, 1}, &history.seen(1)[0]);
  history.EndBatch();
  ASSERT_TRUE(history.has_average());
  EXPECT_FLOAT_EQ(history.quantization(0).scale, 5.0f / 255);
  EXPECT_EQ(history.quantization(0).zero_point, 153);
  EXPECT_FLOAT_EQ(history.quantization(1).scale, 1);  // nothing seen
  Widen({0, 6}, &history.seen(1)[0]);
  history.EndBatch();
  // [-3 * 0.75, 2 * 0.75 + 6 * 0.25]
  EXPECT_FLOAT_EQ(history.quantization(0).scale, 5.25f / 255);
}

TEST(ValueRangeTest, SeesEveryPlaceOfARow) {
  constexpr float kInf = std::numeric_limits<float>::infinity(), kNan = std::numeric_limits<float>::quiet_NaN();
  for (size_t n = 1; n <= 50; ++n) {
    const std::vector<float> halves(n, 0.5f);
    for (size_t place = 0; place < n; ++place) {
      std::vector<float> x(n, 1.0f);
      x[place] = -8;
      const ValueRange plain = RangeOf(x, nullptr), scaled = RangeOf(x, halves.data());
      EXPECT_EQ(plain.min, -8);
      EXPECT_EQ(plain.max, n > 1 ? 1 : 0);
      EXPECT_EQ(scaled.min, -4);
      x[place] = 8;
      EXPECT_EQ(RangeOf(x, nullptr).max, 8);
      EXPECT_EQ(RangeOf(x, nullptr).min, 0);
      for (const float value : {kInf, -kInf, kNan}) {
        x[place] = value;
        EXPECT_EQ(RangeOf(x, nullptr).max, 0) << n << " " << place;
        EXPECT_EQ(RangeOf(x, halves.data()).max, 0) << n << " " << place;
      }
    }
  }
}

TEST(ValueRangeTest, HoldsZeroAndTheFiniteRowsTimesTheirFactors) {
  const std::vector<float> x = {1, -2, 4}, factors = {8, 1, 0.5f};
  const ValueRange plain = RangeOf(x, nullptr), scaled = RangeOf(x, factors.data());
  EXPECT_EQ(plain.min, -2);
  EXPECT_EQ(plain.max, 4);
  EXPECT_EQ(scaled.max, 8);
  EXPECT_EQ(RangeOf(std::vector<float>{3, 5}, nullptr).min, 0);
  for (const float bad : {std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()}) {
    EXPECT_EQ(RangeOf(std::vector<float>{3, bad}, nullptr).max, 0);
  }
}

}  // namespace
}  // namespace octet::model
