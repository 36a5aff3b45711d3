// Plans read back from directories are those that were written, and those that loading floats makes.
#include "model/quantize/loaded_plan.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <utility>

#include "model/quantize/calibration.h"
#include "model/quantize/load_with_technique.h"
#include "model/quantize/mixed.h"
#include "model/quantize/probe_rows.h"
#include "model/quantize/quantized_directory.h"
#include "model/quantize/technique.h"
#include "tests/model/tiny_model.h"

namespace octet::model {
namespace {

using kernels::LinearKind;
using octet::testing::TempDir;

class LoadedPlanTest : public ::testing::Test {
 protected:
  LoadedPlanTest() { octet::testing::WriteTinyModel(source_.path(), {}); }

  absl::StatusOr<std::vector<LoadedPlan>> Read(const std::string& path,
                                               std::shared_ptr<const QuantizationPlan> of_floats = nullptr) {
    const auto directory = *ModelDirectory::Open(path);
    const EncoderConfig config = *ReadEncoderConfig(*directory);
    const auto weights = *Weights::Open(*directory);
    const EncoderOptions options{.precision = Precision::kInt8, .isa = DetectIsa(), .plan = std::move(of_floats)};
    kernels::LinearFactory factory(DetectIsa());
    std::vector<LoadedPlan> plans;
    for (size_t i = 0; i < config.num_layers * kLinearsPerLayer; ++i) {
      auto plan = ReadLoadedPlan(config, options, i, weights.get(), &factory);
      if (!plan.ok()) return plan.status();
      plans.push_back(*std::move(plan));
    }
    return plans;
  }

  QuantizationPlan PlanFor(Technique technique) {
    const auto directory = *ModelDirectory::Open(source_.path());
    const EncoderConfig config = *ReadEncoderConfig(*directory);
    const auto weights = *Weights::Open(*directory);
    const auto floats =
        *TextModel::Load(source_.path(), {.precision = Precision::kF32, .isa = DetectIsa(), .max_batch_tokens = 256});
    TokenizedTexts texts;
    for (int32_t t = 0; t < 20; ++t) texts.Add(std::vector<int32_t>{t, 2 * t, 3 * t + 1, 5});
    Calibration calibration(floats.get(), texts, 1000);
    const TechniqueOptions options{.technique = technique, .isa = DetectIsa()};
    QuantizationPlan plan;
    for (size_t layer_idx = 0; layer_idx < config.num_layers; ++layer_idx) {
      auto layer = technique == Technique::kDynamic
                       ? PlanLayerWithoutTexts(config, layer_idx, weights.get(), {})
                       : PlanLayer(options, config, layer_idx, weights.get(), &calibration);
      EXPECT_TRUE(layer.ok()) << layer.status();
      for (LinearPlan& linear : layer->linears) plan.linears.push_back(std::move(linear));
    }
    return plan;
  }

  static void ExpectSame(const LinearPlan& got, const LinearPlan& want, size_t linear_idx) {
    EXPECT_EQ(got.weights, want.weights) << linear_idx;
    EXPECT_EQ(got.scales, want.scales) << linear_idx;
    EXPECT_EQ(got.bias, want.bias) << linear_idx;
    EXPECT_EQ(got.input.kind, want.input.kind) << linear_idx;
    EXPECT_EQ(got.input.range, want.input.range) << linear_idx;
    EXPECT_EQ(got.input.factors, want.input.factors) << linear_idx;
    EXPECT_EQ(got.input.fixed.scale, want.input.fixed.scale) << linear_idx;
    EXPECT_EQ(got.input.fixed.zero_point, want.input.fixed.zero_point) << linear_idx;
  }

  const TempDir source_, out_;
};

TEST_F(LoadedPlanTest, FloatsAreRoundedToNearest) {
  const QuantizationPlan plan = PlanFor(Technique::kDynamic);
  const auto loaded = Read(source_.path());
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  ASSERT_EQ(loaded->size(), plan.linears.size());
  for (size_t i = 0; i < loaded->size(); ++i) {
    ExpectSame((*loaded)[i].plan, plan.linears[i], i);
    EXPECT_GE((*loaded)[i].bytes, plan.linears[i].weights.size()) << i;
  }
}

TEST_F(LoadedPlanTest, FloatsAreDividedByTheFactorsOfTheirPlan) {
  octet::testing::WriteTinyModel(source_.path(), {.loud_channels = 2});
  const auto directory = *ModelDirectory::Open(source_.path());
  const EncoderConfig config = *ReadEncoderConfig(*directory);
  const auto weights = *Weights::Open(*directory);
  const TextModelOptions options{.isa = DetectIsa()};
  const auto probe_rows = ProbeRows(source_.path(), options);
  ASSERT_TRUE(probe_rows.ok()) << probe_rows.status();
  const auto plan = PlanWithoutTexts(source_.path(), options);
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ((*plan)->technique, "smooth");
  const auto loaded = Read(source_.path(), *plan);
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  size_t num_with_factors = 0;
  for (size_t i = 0; i < loaded->size(); ++i) {
    const auto layer = PlanLayerWithoutTexts(config, i / kLinearsPerLayer, weights.get(), *probe_rows);
    ASSERT_TRUE(layer.ok()) << layer.status();
    const LinearPlan& want = layer->linears[i % kLinearsPerLayer];
    ExpectSame((*loaded)[i].plan, want, i);
    num_with_factors += !want.input.factors.empty();
  }
  EXPECT_GT(num_with_factors, 0u);
}

TEST_F(LoadedPlanTest, StoredPlansComeBack) {
  for (const Technique technique : {Technique::kDynamic, Technique::kStatic}) {
    QuantizationPlan plan = MixedPlan(PlanFor(technique), {2, 5}, 2, LinearKind::kF32);
    // A directory that has factors has them for every layer; a layer without gets ones.
    const bool has_factors = std::any_of(plan.linears.begin(), plan.linears.end(),
                                         [](const LinearPlan& linear) { return !linear.input.factors.empty(); });
    const std::string path = out_.File(std::string(TechniqueName(technique)));
    const auto stage = *StagedDirectory::Open(path, source_.path(), /*overwrite=*/false);
    ASSERT_TRUE(WriteQuantizedDirectory(source_.path(), plan, "static", *stage).ok());
    ASSERT_TRUE(stage->Publish().ok());
    const auto loaded = Read(path);
    ASSERT_TRUE(loaded.ok()) << loaded.status();
    for (size_t i = 0; i < loaded->size(); ++i) {
      LinearPlan want = plan.linears[i];
      if (has_factors && want.input.kind == LinearKind::kInt8 && want.input.factors.empty()) {
        want.input.factors.assign(want.weights.size() / want.scales.size(), 1.0f);
      }
      ExpectSame((*loaded)[i].plan, want, i);
    }
  }
}

}  // namespace
}  // namespace octet::model
