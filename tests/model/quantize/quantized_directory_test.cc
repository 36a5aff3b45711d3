// Plans written to a directory and loaded again compute what they compute in memory, bit for bit.
#include "model/quantize/quantized_directory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <memory>

#include "model/linear_load.h"
#include "model/quantize/load_with_technique.h"
#include "model/quantize/mixed.h"
#include "model/quantize/plan_checkpoint.h"
#include "model/quantize/probe_rows.h"
#include "model/quantize/technique.h"
#include "model/text_model.h"
#include "tests/model/tiny_model.h"

namespace octet::model {
namespace {

using octet::testing::TempDir;
using octet::testing::TinyModelOptions;
using octet::testing::WriteTinyModel;

TextModelOptions Options(Precision precision) {
  return {.precision = precision, .isa = DetectIsa(), .max_batch_tokens = 256};
}

std::shared_ptr<const TextModel> Load(const std::string& directory, const TextModelOptions& options) {
  auto model = TextModel::Load(directory, options);
  EXPECT_TRUE(model.ok()) << model.status();
  return model.ok() ? *model : nullptr;
}

TokenizedTexts SomeTexts(size_t num_texts) {
  TokenizedTexts texts;
  for (size_t t = 0; t < num_texts; ++t) {
    std::vector<int32_t> ids;
    for (size_t i = 0; i < 3 + t % 20; ++i) ids.push_back(static_cast<int32_t>((t * 31 + i * 7) % 128));
    texts.Add(ids);
  }
  return texts;
}

class QuantizedDirectoryTest : public ::testing::Test {
 protected:
  void Write(const TinyModelOptions& options) {
    WriteTinyModel(source_.path(), options);
    directory_ = *ModelDirectory::Open(source_.path());
    config_ = *ReadEncoderConfig(*directory_);
    weights_ = *Weights::Open(*directory_);
    floats_ = Load(source_.path(), Options(Precision::kF32));
  }

  QuantizationPlan PlanFor(Technique technique, RangeObserver observer = RangeObserver::kMinMax) {
    const TechniqueOptions options{.technique = technique, .observer = observer, .isa = DetectIsa()};
    Calibration calibration(floats_.get(), SomeTexts(40), 1000);
    QuantizationPlan plan;
    for (size_t layer_idx = 0; layer_idx < config_.num_layers; ++layer_idx) {
      auto layer = technique == Technique::kDynamic
                       ? PlanLayerWithoutTexts(config_, layer_idx, weights_.get(), {})
                       : PlanLayer(options, config_, layer_idx, weights_.get(), &calibration);
      EXPECT_TRUE(layer.ok()) << layer.status();
      for (LinearPlan& linear : layer->linears) plan.linears.push_back(std::move(linear));
    }
    return plan;
  }

  std::vector<float> VectorsOf(const TextModel& model) { return *ComputeTexts(model, SomeTexts(30)); }

  std::vector<float> VectorsInMemory(const QuantizationPlan& plan) {
    TextModelOptions options = Options(Precision::kInt8);
    options.plan = std::make_shared<const QuantizationPlan>(plan);
    return VectorsOf(*Load(source_.path(), options));
  }

  std::vector<float> VectorsFromDisk(const QuantizationPlan& plan) {
    const TempDir out;
    const auto stage = StagedDirectory::Open(out.File("model"), source_.path(), false);
    EXPECT_TRUE(stage.ok()) << stage.status();
    EXPECT_TRUE(WriteQuantizedDirectory(source_.path(), plan, "smooth", **stage).ok());
    EXPECT_TRUE((*stage)->Publish().ok());
    EXPECT_FALSE(std::filesystem::exists((*stage)->staging_path()));
    const auto model = Load(out.File("model"), Options(Precision::kInt8));
    if (model == nullptr) return {};
    EXPECT_THAT(model->warnings(), ::testing::IsEmpty());
    return VectorsOf(*model);
  }

  Fidelity Closeness(const std::vector<float>& vectors) {
    return CompareOutputs(Task::kEmbedding, VectorsOf(*floats_), vectors, config_.hidden_dim);
  }

  TempDir source_;
  std::unique_ptr<ModelDirectory> directory_;
  EncoderConfig config_;
  std::unique_ptr<Weights> weights_;
  std::shared_ptr<const TextModel> floats_;
};

TEST_F(QuantizedDirectoryTest, EveryTechniqueComputesTheSameBitsFromDiskAsInMemory) {
  Write({});
  for (const Technique technique : {Technique::kDynamic, Technique::kSmooth, Technique::kStatic}) {
    const QuantizationPlan plan = PlanFor(technique);
    EXPECT_EQ(VectorsFromDisk(plan), VectorsInMemory(plan)) << TechniqueName(technique);
  }
}

TEST_F(QuantizedDirectoryTest, LayersWithoutFactorsBesideOthersSurvive) {
  Write({});
  QuantizationPlan plan = PlanFor(Technique::kSmooth);
  plan.linears[3] = PlanFor(Technique::kDynamic).linears[3];
  plan.linears[4] = PlanFor(Technique::kDynamic).linears[4];
  EXPECT_EQ(VectorsFromDisk(plan), VectorsInMemory(plan));
}

TEST_F(QuantizedDirectoryTest, DynamicIsWhatLoadingDoesWithoutAPlan) {
  Write({.prefix = "bert."});
  EXPECT_EQ(VectorsFromDisk(PlanFor(Technique::kDynamic)), VectorsOf(*Load(source_.path(), Options(Precision::kInt8))));
}

TEST_F(QuantizedDirectoryTest, ShardsHalfTypesAndMixedLayersSurvive) {
  for (const char* dtype : {"F16", "BF16"}) {
    Write({.dtype = dtype, .prefix = "bert.", .num_shards = 3});
    QuantizationPlan plan = PlanFor(Technique::kSmooth);
    plan = MixedPlan(plan, {2, 5, 0}, 3, kernels::LinearKind::kF32);
    const std::vector<float> vectors = VectorsFromDisk(plan);
    if (DetectIsa() < Isa::kAvx512Bf16 || std::string(dtype) != "BF16") {
      EXPECT_EQ(vectors, VectorsInMemory(plan)) << dtype;
    }
    EXPECT_GT(Closeness(vectors).cosine_min, 0.999) << dtype;
  }
}

TEST_F(QuantizedDirectoryTest, Bf16LayersAreWrittenOnEveryMachine) {
  Write({});
  const QuantizationPlan plan = MixedPlan(PlanFor(Technique::kDynamic), {1, 6}, 2, kernels::LinearKind::kBf16);
  EXPECT_GT(Closeness(VectorsFromDisk(plan)).cosine_min, 0.999);
}

TEST_F(QuantizedDirectoryTest, SmoothIsCloserToFloatsThanDynamicAndStaticFollows) {
  Write({.num_layers = 4, .hidden_dim = 64, .intermediate_dim = 256});
  const Fidelity dynamic = Closeness(VectorsInMemory(PlanFor(Technique::kDynamic)));
  const Fidelity smooth = Closeness(VectorsInMemory(PlanFor(Technique::kSmooth)));
  EXPECT_LT(1 - smooth.cosine_mean, 0.7 * (1 - dynamic.cosine_mean));
  for (const RangeObserver observer : {RangeObserver::kMinMax, RangeObserver::kMovingAverage,
                                       RangeObserver::kPercentile, RangeObserver::kEntropy, RangeObserver::kMse}) {
    EXPECT_GT(Closeness(VectorsInMemory(PlanFor(Technique::kStatic, observer))).cosine_mean, 0.99)
        << RangeObserverName(observer);
  }
}

TEST_F(QuantizedDirectoryTest, SmoothingWithoutTextsIsBehindNormsAndHasTheBitsOfLoadingSo) {
  Write({.num_layers = 2, .hidden_dim = 64, .intermediate_dim = 256, .loud_channels = 2});
  const auto probe_rows = ProbeRows(source_.path(), {.isa = DetectIsa()});
  ASSERT_TRUE(probe_rows.ok()) << probe_rows.status();
  QuantizationPlan plan;
  for (size_t layer_idx = 0; layer_idx < 2; ++layer_idx) {
    auto layer = PlanLayerWithoutTexts(config_, layer_idx, weights_.get(), *probe_rows);
    ASSERT_TRUE(layer.ok()) << layer.status();
    EXPECT_EQ(layer->linears[0].input.factors.size(), 64u);  // query, key, value
    EXPECT_TRUE(layer->linears[1].input.factors.empty());
    EXPECT_EQ(layer->linears[2].input.factors.size(), 64u);  // intermediate
    EXPECT_TRUE(layer->linears[3].input.factors.empty());
    for (LinearPlan& linear : layer->linears) plan.linears.push_back(std::move(linear));
  }
  const std::vector<float> vectors = VectorsFromDisk(plan);
  EXPECT_EQ(vectors, VectorsInMemory(plan));
  const auto loaded = LoadWithTechnique(source_.path(), Technique::kSmooth, Options(Precision::kInt8));
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_EQ(vectors, VectorsOf(**loaded));
  const Fidelity dynamic = Closeness(VectorsInMemory(PlanFor(Technique::kDynamic)));
  EXPECT_LT(1 - Closeness(vectors).cosine_mean, 0.7 * (1 - dynamic.cosine_mean));
}

// A LayerNorm multiplies by factors that are powers of two, and the residual takes them back: with one for all channels every
// integer is as without. One that is none is left to the step that quantizes.
TEST_F(QuantizedDirectoryTest, FactorsOfALayerNormLeaveTheResidualAsItWas) {
  Write({.num_layers = 3});
  QuantizationPlan plan = PlanFor(Technique::kDynamic);
  for (LinearPlan& linear : plan.linears) linear = {.input = linear.input};  // loading rounds the weights
  const std::vector<float> vectors = VectorsInMemory(plan);
  for (const float factor : {0.25f, 8.0f}) {
    for (size_t i = 0; i < plan.linears.size(); ++i) {
      const size_t dim = ShapeOfLinear(config_, i).in_dim;
      plan.linears[i].input.factors.assign(dim, i % 3 == 0 ? factor : 1 / factor);
    }
    EXPECT_EQ(VectorsInMemory(plan), vectors) << factor;
  }
  plan.linears[0].input.factors[5] = 3;
  EXPECT_GT(Closeness(VectorsInMemory(plan)).cosine_mean, 0.999);
}

TEST_F(QuantizedDirectoryTest, MixedFindsFewLayersThatReachTheLimit) {
  Write({.num_layers = 3});
  const QuantizationPlan int8 = PlanFor(Technique::kDynamic);
  MixedOptions options{
      .floats = floats_.get(), .directory = source_.path(), .model = Options(Precision::kInt8), .limit = {}};
  const double of_int8 = Closeness(VectorsInMemory(int8)).cosine_mean;
  options.limit = {.cosine_mean = 1 - (1 - of_int8) / 2, .cosine_min = 0};
  const auto mixed = ChooseMixed(options, int8, SomeTexts(30));
  ASSERT_TRUE(mixed.ok()) << mixed.status();
  EXPECT_TRUE(mixed->meets_limit);
  EXPECT_GT(mixed->num_float, 0u);
  EXPECT_LT(mixed->num_float, int8.linears.size());
  ASSERT_EQ(mixed->curve.size(), int8.linears.size() + 1);
  EXPECT_GE(mixed->curve[mixed->num_float].fidelity.cosine_mean, options.limit.cosine_mean);
  EXPECT_LT(mixed->curve[mixed->num_float - 1].fidelity.cosine_mean, options.limit.cosine_mean);
  // What was measured is what the plan gives.
  const QuantizationPlan plan = MixedPlan(int8, mixed->order, mixed->num_float, mixed->float_kind);
  EXPECT_EQ(Closeness(VectorsFromDisk(plan)).cosine_mean, mixed->curve[mixed->num_float].fidelity.cosine_mean);
}

TEST_F(QuantizedDirectoryTest, QuantizedDirectoriesAreServedInInt8Only) {
  Write({});
  const TempDir out;
  const auto stage = StagedDirectory::Open(out.File("model"), source_.path(), false);
  ASSERT_TRUE(WriteQuantizedDirectory(source_.path(), PlanFor(Technique::kDynamic), "dynamic", **stage).ok());
  ASSERT_TRUE((*stage)->Publish().ok());
  EXPECT_THAT(std::string(TextModel::Load(out.File("model"), Options(Precision::kF32)).status().message()),
              ::testing::HasSubstr("precision: got f32, but the directory's weights are stored in int8"));
  // Not over something that is there, unless told to, nor over what is no model, nor over the model itself.
  EXPECT_EQ(StagedDirectory::Open(out.File("model"), source_.path(), false).status().code(),
            absl::StatusCode::kAlreadyExists);
  EXPECT_TRUE(StagedDirectory::Open(out.File("model"), source_.path(), true).ok());
  octet::testing::WriteFile(out.File("notes/todo.txt"), "mine");
  EXPECT_EQ(StagedDirectory::Open(out.File("notes"), source_.path(), true).status().code(),
            absl::StatusCode::kAlreadyExists);
  for (const std::string& path : {source_.path(), source_.path() + "/", source_.path() + "/.."}) {
    EXPECT_EQ(StagedDirectory::Open(path, source_.path(), true).status().code(), absl::StatusCode::kInvalidArgument);
  }
}

TEST_F(QuantizedDirectoryTest, StagingFoldersAreOneRunsOwn) {
  Write({});
  const TempDir out;
  const auto first = StagedDirectory::Open(out.File("model"), source_.path(), false);
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_EQ(StagedDirectory::Open(out.File("model"), source_.path(), false).status().code(),
            absl::StatusCode::kFailedPrecondition);
  octet::testing::WriteFile(out.File("other.partial/todo.txt"), "mine");
  EXPECT_EQ(StagedDirectory::Open(out.File("other"), source_.path(), false).status().code(),
            absl::StatusCode::kAlreadyExists);
  // One that came while the run went on is not replaced.
  octet::testing::WriteFile(out.File("model/config.json"), "{}");
  EXPECT_EQ((*first)->Publish().code(), absl::StatusCode::kAlreadyExists);
  EXPECT_TRUE(std::filesystem::exists(out.File("model/config.json")));
}

TEST_F(QuantizedDirectoryTest, CheckpointsGiveBackWhatTheyGot) {
  Write({});
  const TechniqueOptions options{.technique = Technique::kStatic, .isa = DetectIsa()};
  Calibration calibration(floats_.get(), SomeTexts(40), 1000);
  const auto layer = PlanLayer(options, config_, 1, weights_.get(), &calibration);
  ASSERT_TRUE(layer.ok());
  const TempDir out;
  const auto stage = StagedDirectory::Open(out.File("model"), source_.path(), false);
  {
    const auto checkpoint = PlanCheckpoint::Open(stage->get(), "one");
    ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
    EXPECT_FALSE(checkpoint->LoadOrNone(config_, 1).has_value());
    ASSERT_TRUE(checkpoint->Save(1, *layer).ok());
  }
  {
    const auto checkpoint = PlanCheckpoint::Open(stage->get(), "one");
    ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
    const auto found = checkpoint->LoadOrNone(config_, 1);
    ASSERT_TRUE(found.has_value());
    for (size_t slot = 0; slot < kLinearsPerLayer; ++slot) {
      const LinearPlan &want = layer->linears[slot], &got = found->linears[slot];
      EXPECT_EQ(got.weights, want.weights);
      EXPECT_EQ(got.scales, want.scales);
      EXPECT_EQ(got.bias, want.bias);
      EXPECT_EQ(got.input.factors, want.input.factors);
      EXPECT_EQ(got.input.range, kernels::RowRange::kFixed);
      EXPECT_EQ(got.input.fixed.scale, want.input.fixed.scale);
      EXPECT_EQ(got.input.fixed.zero_point, want.input.fixed.zero_point);
      EXPECT_EQ(found->reports[slot].error, layer->reports[slot].error);
    }
    octet::testing::WriteFile((*stage)->File("checkpoint_layer_1.safetensors"), "torn");
    EXPECT_FALSE(checkpoint->LoadOrNone(config_, 1).has_value());
    ASSERT_TRUE(checkpoint->Save(1, *layer).ok());
  }
  // Of another run: not used, and nothing of it stays.
  ASSERT_TRUE((*stage)->WriteText("modules.json", "[]").ok());
  const auto other = PlanCheckpoint::Open(stage->get(), "other");
  ASSERT_TRUE(other.ok()) << other.status();
  EXPECT_FALSE(other->LoadOrNone(config_, 1).has_value());
  EXPECT_FALSE(std::filesystem::exists((*stage)->File("modules.json")));
  EXPECT_FALSE(std::filesystem::exists((*stage)->File("checkpoint_layer_1.safetensors")));
}

}  // namespace
}  // namespace octet::model
