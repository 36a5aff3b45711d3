#include "model/quantize/fidelity.h"

#include <gtest/gtest.h>

#include <cstring>

#include "tests/model/tiny_model.h"

namespace octet::model {
namespace {

TEST(FidelityTest, EmbeddingsAreComparedByDirection) {
  const std::vector<float> reference = {1, 0, 3, 4, 0, 0}, outputs = {2, 0, 4, 3, 1, 1};
  const Fidelity fidelity = CompareOutputs(Task::kEmbedding, reference, outputs, 2);
  EXPECT_NEAR(fidelity.cosine_mean, (1 + 24.0 / 25 + 0) / 3, 1e-12);
  EXPECT_EQ(fidelity.cosine_min, 0);  // of the zero vector
}

TEST(FidelityTest, OneLogitIsComparedBySize) {
  // m = (25 + 1) / 2; the first text is 4 away, the second equal.
  const std::vector<float> reference = {5, -1}, outputs = {1, -1};
  const Fidelity fidelity = CompareOutputs(Task::kClassification, reference, outputs, 1);
  EXPECT_NEAR(fidelity.cosine_min, 1 - 16.0 / 26, 1e-12);
  EXPECT_NEAR(fidelity.cosine_mean, 1 - 8.0 / 26, 1e-12);
}

TEST(FidelityTest, LogitsOfOneLengthHaveTheirCosine) {
  const std::vector<float> reference = {3, 4}, outputs = {4, 3};
  EXPECT_NEAR(CompareOutputs(Task::kClassification, reference, outputs, 2).cosine_mean, 24.0 / 25, 1e-12);
}

TEST(FidelityTest, EveryTokensLogitsAreARow) {
  const octet::testing::TempDir dir;
  octet::testing::WriteTinyModel(dir.path(), {.token_labels = {"O", "B-PER", "I-PER"}});
  // Two texts fill a batch.
  const auto model =
      TextModel::Load(dir.path(), {.precision = Precision::kF32, .isa = DetectIsa(), .max_batch_tokens = 40});
  ASSERT_TRUE(model.ok()) << model.status();
  const std::vector<std::vector<int32_t>> ids = {
      std::vector<int32_t>(20, 5), {2, 7, 9, 3}, std::vector<int32_t>(30, 8), {2, 3}};
  TokenizedTexts texts;
  std::vector<float> alone;
  for (const std::vector<int32_t>& text : ids) {
    texts.Add(text);
    TokenizedTexts one;
    one.Add(text);
    const auto outputs = ComputeTexts(**model, one);
    ASSERT_TRUE(outputs.ok()) << outputs.status();
    ASSERT_EQ(outputs->size(), text.size() * 3);
    alone.insert(alone.end(), outputs->begin(), outputs->end());
  }
  const auto together = ComputeTexts(**model, texts);
  ASSERT_TRUE(together.ok()) << together.status();
  ASSERT_EQ(together->size(), alone.size());
  EXPECT_EQ(std::memcmp(together->data(), alone.data(), alone.size() * sizeof(float)), 0);
  // The smallest closeness is a token's, not a text's.
  std::vector<float> changed = *together;
  for (size_t i = 0; i < 3; ++i) changed[i] = -changed[i];
  const Fidelity fidelity = CompareOutputs(Task::kTokenClassification, *together, changed, 3);
  EXPECT_LT(fidelity.cosine_min, 0.5);
  EXPECT_NEAR(fidelity.cosine_mean, 1 - (1 - fidelity.cosine_min) / 56, 1e-9);  // of 56 tokens
}

}  // namespace
}  // namespace octet::model
