#include "server/cli/quantization_settings.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace octet::cli {
namespace {

using model::ActivationRange;
using model::Precision;
using model::Technique;
using ::testing::HasSubstr;

config::v1::Quantization Method(const std::string& method) {
  config::v1::Quantization settings;
  settings.set_method(method);
  return settings;
}

config::v1::Quantization Range(const std::string& range) {
  config::v1::Quantization settings;
  settings.set_activation_range(range);
  return settings;
}

model::EncoderConfig MadeWith(const std::string& technique) {
  model::EncoderConfig config;
  config.quantization.emplace();
  config.quantization->technique = technique;
  return config;
}

std::string Refusal(const config::v1::Quantization& settings, const model::EncoderConfig& config = {},
                    Precision precision = Precision::kInt8) {
  const auto result = QuantizationOf(settings, config, precision);
  EXPECT_FALSE(result.ok());
  return std::string(result.status().message());
}

TEST(QuantizationOfTest, NothingSaidIsPerTokenAsTheDirectorySays) {
  for (const Precision precision : {Precision::kInt8, Precision::kF32}) {
    const auto settings = QuantizationOf({}, {}, precision);
    ASSERT_TRUE(settings.ok()) << settings.status();
    EXPECT_EQ(settings->activation_range, ActivationRange::kPerToken);
    EXPECT_EQ(settings->momentum, model::kDefaultMomentum);
    EXPECT_EQ(settings->technique_at_load, Technique::kSmooth);
  }
}

TEST(QuantizationOfTest, FloatsAreRoundedOrSmoothedWhileLoading) {
  EXPECT_EQ(QuantizationOf(Method("dynamic"), {}, Precision::kInt8)->technique_at_load, Technique::kDynamic);
  EXPECT_EQ(QuantizationOf(Method("smooth"), {}, Precision::kInt8)->technique_at_load, Technique::kSmooth);
  for (const char* method : {"static", "mixed"}) {
    EXPECT_THAT(Refusal(Method(method)), HasSubstr(std::string("quantization.method: ") + method + " needs"));
  }
}

TEST(QuantizationOfTest, ADirectoryHasTheMethodThatItWasMadeWith) {
  const auto same = QuantizationOf(Method("static"), MadeWith("static"), Precision::kInt8);
  EXPECT_TRUE(same.ok()) << same.status();
  EXPECT_THAT(Refusal(Method("smooth"), MadeWith("static")),
              HasSubstr("smooth, but the directory was made with static"));
}

TEST(QuantizationOfTest, HistoryNeedsLeave) {
  auto settings = Range("moving_average");
  EXPECT_THAT(Refusal(settings), HasSubstr("quantization.allow_history_dependent: true"));
  settings.set_allow_history_dependent(true);
  settings.set_momentum(0.5);
  const auto allowed = QuantizationOf(settings, {}, Precision::kInt8);
  ASSERT_TRUE(allowed.ok()) << allowed.status();
  EXPECT_EQ(allowed->activation_range, ActivationRange::kMovingAverage);
  EXPECT_EQ(allowed->momentum, 0.5);
  settings.set_momentum(1);
  EXPECT_EQ(Refusal(settings), "quantization.momentum: want 0 to below 1, got 1");
}

TEST(QuantizationOfTest, ChoicesAreOfInt8Only) {
  EXPECT_EQ(Refusal(Range("per_text"), {}, Precision::kF32),
            "quantization.activation_range: is of int8, but engine.precision is f32");
  EXPECT_EQ(Refusal(Method("smooth"), {}, Precision::kBf16),
            "quantization.method: is of int8, but engine.precision is bf16");
}

}  // namespace
}  // namespace octet::cli
