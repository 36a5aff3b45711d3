// Looking at one linear layer, against values computed here from the definition.
#include <cmath>
#include <vector>

#include "base/cpu_isa.h"
#include "gtest/gtest.h"
#include "model/quantize/input_rounding.h"
#include "model/quantize/weight_rounding.h"
#include "server/cli/inspect/inspect_linear.h"
#include "tests/model/quantize/random_linear.h"

namespace octet::cli {
namespace {

using kernels::LinearKind;
using model::LinearInputs;
using model::OwnedLinear;
using model::RoundedWeights;

constexpr size_t kIn = 64, kOut = 48, kRows = 40;

class InspectLinearTest : public testing::Test {
 protected:
  LinearSubject Int8Subject(const std::vector<float>& factors) {
    std::vector<float> weights(floats_.weights.span().begin(), floats_.weights.span().end());
    model::DivideByFactors(factors, weights);
    rounded_ = model::RoundToNearest(weights, kIn);
    return {.isa = DetectIsa(),
            .input = {.factors = factors},
            .weights = {.in_dim = kIn,
                        .out_dim = kOut,
                        .bias = floats_.bias.span(),
                        .s8 = rounded_.values,
                        .scales = rounded_.scales},
            .floats = &floats_,
            .inputs = &inputs_};
  }

  // Of the outputs in double: products of the values that the layer multiplies.
  double OutputDecibels(const LinearSubject& subject) {
    double signal = 0, noise = 0;
    std::vector<float> x(kIn);
    for (size_t r = 0; r < kRows; ++r) {
      model::RoundInputRow(subject.isa, subject.input, inputs_.row(r), 1.0f, x);
      for (size_t j = 0; j < kOut; ++j) {
        double exact = static_cast<double>(floats_.bias[j]), got = exact;
        for (size_t c = 0; c < kIn; ++c) {
          exact += static_cast<double>(floats_.weights[j * kIn + c]) * static_cast<double>(inputs_.row(r)[c]);
          got += static_cast<double>(rounded_.scales[j]) * rounded_.values[j * kIn + c] * static_cast<double>(x[c]);
        }
        signal += exact * exact;
        noise += (got - exact) * (got - exact);
      }
    }
    return 10 * std::log10(signal / noise);
  }

  const OwnedLinear floats_ = model::RandomLinear(kIn, kOut, 1);
  const LinearInputs inputs_ = model::RandomInputs(kRows, kIn, 2);
  RoundedWeights rounded_;
};

TEST_F(InspectLinearTest, SaysWhatRoundingDoes) {
  const LinearSubject subject = Int8Subject({});
  const auto inspection = InspectLinear(subject);
  ASSERT_TRUE(inspection.ok()) << inspection.status();
  double signal = 0, noise = 0;
  for (size_t i = 0; i < kIn * kOut; ++i) {
    const double w = static_cast<double>(floats_.weights[i]);
    signal += w * w;
    noise += std::pow(static_cast<double>(rounded_.scales[i / kIn] * static_cast<float>(rounded_.values[i])) - w, 2);
  }
  EXPECT_NEAR(*inspection->weights.signal_to_noise_db, 10 * std::log10(signal / noise), 1e-6);
  EXPECT_GT(*inspection->weights.signal_to_noise_db, 35);
  // Sums in f32 against sums in double: their error is far below that of rounding.
  EXPECT_NEAR(*inspection->output_signal_to_noise_db, OutputDecibels(subject), 0.01);
  EXPECT_GT(*inspection->inputs->signal_to_noise_db, 25);
  EXPECT_GT(*inspection->output_cosine, 0.999);
  EXPECT_LT(*inspection->output_cosine, 1);
  EXPECT_EQ(inspection->sensitivity(), 1 - *inspection->output_cosine);
  // Every eighth channel is thirty times as loud.
  EXPECT_EQ(inspection->inputs->summary.num_outlier_channels, kIn / 8);
  EXPECT_EQ(inspection->weights.summary.num_outlier_channels, 0u);
}

TEST_F(InspectLinearTest, FactorsAreSeenFromTheProduct) {
  std::vector<float> factors(kIn, 1.0f);
  for (size_t c = 3; c < kIn; c += 8) factors[c] = 1.0f / 30;
  const auto inspection = InspectLinear(Int8Subject(factors));
  ASSERT_TRUE(inspection.ok()) << inspection.status();
  EXPECT_TRUE(inspection->has_factors);
  // What was loud in the inputs is loud in the weights instead.
  EXPECT_EQ(inspection->inputs->summary.num_outlier_channels, 0u);
  EXPECT_EQ(inspection->weights.summary.num_outlier_channels, kIn / 8);
}

TEST_F(InspectLinearTest, LessCanBeSaidWithoutFloatsOrInputs) {
  LinearSubject subject = Int8Subject({});
  subject.floats = nullptr;
  auto inspection = InspectLinear(subject);
  ASSERT_TRUE(inspection.ok());
  EXPECT_FALSE(inspection->weights.signal_to_noise_db.has_value() || inspection->output_cosine.has_value());
  EXPECT_TRUE(inspection->inputs->signal_to_noise_db.has_value());
  subject.inputs = nullptr;
  subject.floats = &floats_;
  inspection = InspectLinear(subject);
  ASSERT_TRUE(inspection.ok());
  EXPECT_TRUE(inspection->weights.signal_to_noise_db.has_value());
  EXPECT_FALSE(inspection->inputs.has_value() || inspection->sensitivity().has_value());
}

TEST_F(InspectLinearTest, FloatsHaveNoNoise) {
  const LinearSubject subject{
      .isa = DetectIsa(),
      .input = {.kind = LinearKind::kF32},
      .weights = {.in_dim = kIn, .out_dim = kOut, .bias = floats_.bias.span(), .f32 = floats_.weights.span()},
      .floats = &floats_,
      .inputs = &inputs_};
  const auto inspection = InspectLinear(subject);
  ASSERT_TRUE(inspection.ok()) << inspection.status();
  EXPECT_FALSE(inspection->weights.signal_to_noise_db.has_value());
  EXPECT_FALSE(inspection->inputs->signal_to_noise_db.has_value());
  EXPECT_FALSE(inspection->output_signal_to_noise_db.has_value());
  EXPECT_NEAR(*inspection->output_cosine, 1, 1e-12);
}

TEST_F(InspectLinearTest, Bf16InputsAreRoundedToEightBits) {
  const std::vector<float> x = {1.0f, 1.00390625f, 1.01171875f, -3.0f};  // 1 + 2^-8 and 1 + 3 * 2^-8: ties to even
  std::vector<float> y(x.size());
  model::RoundInputRow(Isa::kScalar, {.kind = LinearKind::kBf16}, x, 2.0f, y);
  EXPECT_EQ(y, (std::vector<float>{2.0f, 2.0f, 2.03125f, -6.0f}));
}

}  // namespace
}  // namespace octet::cli
