// Same text, same bits: alone, in any batch, at any place, with any neighbours, on any number of threads, in
// any row blocks. One process runs at one instruction-set level; ctest starts one per level.
#include <gtest/gtest.h>

#include <cstdio>
#include <memory>
#include <utility>

#include "base/cpu_isa.h"
#include "model/quantize/load_with_technique.h"
#include "tests/model/encoder_invariance.h"
#include "tests/model/tiny_model.h"

namespace octet::model {
namespace {

// A sanitizer looks at the same code with every text; at level scalar a few of them take a minute.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kSanitized = true;
constexpr size_t kNumTexts = 8;
#else
constexpr bool kSanitized = false;
constexpr size_t kNumTexts = 60;
#endif
#if defined(__SANITIZE_THREAD__)
constexpr bool kThreadSanitized = true;
#else
constexpr bool kThreadSanitized = false;
#endif

class EncoderInvarianceTest : public ::testing::TestWithParam<Precision> {
 protected:
  void SetUp() override {
    const auto isa = IsaFromEnvironment();
    if (!isa.ok()) GTEST_SKIP() << "SKIPPED LEVEL: " << isa.status();
    isa_ = *isa;
    if (kThreadSanitized && isa_ == Isa::kScalar) GTEST_SKIP() << "threads do the same at every level, here slowest";
    if (GetParam() == Precision::kBf16 && isa_ < Isa::kAvx512Bf16) GTEST_SKIP() << "no BF16 at this level";
  }

  void ExpectSameBits(const std::string& directory, size_t num_texts, size_t max_batch_tokens,
                      std::shared_ptr<const QuantizationPlan> plan = nullptr,
                      ActivationRange range = ActivationRange::kPerToken) {
    const InvarianceResult result = RunInvariance({.directory = directory,
                                                   .precision = GetParam(),
                                                   .isa = isa_,
                                                   .num_texts = num_texts,
                                                   .max_batch_tokens = max_batch_tokens,
                                                   .plan = std::move(plan),
                                                   .activation_range = range});
    std::printf("%s, %s: %zu comparisons\n", std::string(PrecisionName(GetParam())).c_str(),
                std::string(IsaName(isa_)).c_str(), result.compared_texts);
    EXPECT_GT(result.compared_texts, num_texts);
    EXPECT_EQ(result.differing_bytes, 0u);
  }

  Isa isa_ = Isa::kScalar;
};

INSTANTIATE_TEST_SUITE_P(Precisions, EncoderInvarianceTest,
                         ::testing::Values(Precision::kInt8, Precision::kBf16, Precision::kF32),
                         [](const auto& precision) { return std::string(PrecisionName(precision.param)); });

// Batches of several groups of the schedule on each number of threads; at any level, since it knows none.
TEST_P(EncoderInvarianceTest, BatchesOfSeveralGroups) {
  if (kSanitized && isa_ == Isa::kScalar) GTEST_SKIP() << "takes minutes with a sanitizer";
  octet::testing::TempDir dir;
  octet::testing::WriteTinyModel(dir.path(), {.num_positions = 130, .max_seq_length = 0});
  ExpectSameBits(dir.path(), 80, 8192);
}

TEST_P(EncoderInvarianceTest, TinyModelOfEvenDimensions) {
  octet::testing::TempDir dir;
  octet::testing::WriteTinyModel(dir.path(), {.num_positions = 130, .max_seq_length = 0});
  ExpectSameBits(dir.path(), kNumTexts, 700);
}

TEST_P(EncoderInvarianceTest, TinyModelWithTailsInEveryDimension) {
  octet::testing::TempDir dir;
  octet::testing::WriteTinyModel(
      dir.path(),
      {.hidden_dim = 78, .num_heads = 3, .intermediate_dim = 150, .num_positions = 75, .max_seq_length = 0});
  ExpectSameBits(dir.path(), kNumTexts, 300);
}

// Every way in which a technique may have a linear layer computed, side by side in one model: input factors, ranges
// of the row and fixed ones, floats between int8.
TEST_P(EncoderInvarianceTest, LayersOfEveryTechnique) {
  if (GetParam() != Precision::kInt8) GTEST_SKIP() << "the plan says how each layer computes";
  octet::testing::TempDir dir;
  octet::testing::WriteTinyModel(dir.path(), {.num_layers = 3, .num_positions = 130, .max_seq_length = 0});
  auto plan = std::make_shared<QuantizationPlan>();
  const kernels::LinearKind halves = isa_ >= Isa::kAvx512Bf16 ? kernels::LinearKind::kBf16 : kernels::LinearKind::kF32;
  const kernels::RowQuantization fixed{.scale = 0.02f, .zero_point = 120};  // of LayerNorm's outputs, some clipped
  for (size_t i = 0; i < 3 * kLinearsPerLayer; ++i) {
    kernels::InputFormat input;
    const size_t in_dim = i % kLinearsPerLayer == static_cast<size_t>(LinearSlot::kOutput) ? 64 : 32;
    if (i % 2 == 0) {
      for (size_t c = 0; c < in_dim; ++c) input.factors.push_back(0.25f + 0.125f * static_cast<float>((c * 7) % 13));
    }
    if (i % 5 == 1) input.range = kernels::RowRange::kSymmetric;
    if (i % 5 == 2) input = {.range = kernels::RowRange::kFixed, .fixed = fixed, .factors = std::move(input.factors)};
    if (i % 5 == 3) input = {.kind = kernels::LinearKind::kF32};
    if (i % 5 == 4) input = {.kind = halves};
    plan->linears.push_back({.input = std::move(input)});
  }
  ExpectSameBits(dir.path(), kNumTexts, 700, plan);
}

// As floats are served: LayerNorms multiply by factors, and take them from the residual.
TEST_P(EncoderInvarianceTest, FactorsOfLayerNorms) {
  if (GetParam() != Precision::kInt8) GTEST_SKIP() << "only int8 has factors";
  octet::testing::TempDir dir;
  octet::testing::WriteTinyModel(dir.path(),
                                 {.num_layers = 3, .num_positions = 130, .loud_channels = 2, .max_seq_length = 0});
  const auto plan = PlanWithoutTexts(dir.path(), {.isa = isa_});
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_FALSE((*plan)->linears[0].input.factors.empty());
  ExpectSameBits(dir.path(), kNumTexts, 700, *plan);
}

TEST_P(EncoderInvarianceTest, OneRangeAText) {
  if (GetParam() != Precision::kInt8) GTEST_SKIP() << "only int8 has ranges";
  octet::testing::TempDir dir;
  octet::testing::WriteTinyModel(dir.path(), {.num_positions = 130, .max_seq_length = 0});
  ExpectSameBits(dir.path(), kNumTexts, 700, nullptr, ActivationRange::kPerText);
}

TEST_P(EncoderInvarianceTest, DefaultModel) {
  if (kSanitized) GTEST_SKIP() << "minutes under a sanitizer, and the same code as the tiny models";
  if (isa_ != DetectIsa()) GTEST_SKIP() << "at the machine's own level only; the tiny models cover the rest";
  ExpectSameBits(OCTET_DEFAULT_MODEL, 6, 600);
}

}  // namespace
}  // namespace octet::model
