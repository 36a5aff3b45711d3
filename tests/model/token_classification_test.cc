// A token classification model from directory to logits: what it loads, what it refuses, and that a token's logits have
// the same bits whatever else is in the batch. One process runs at one instruction-set level; ctest starts one per
// level.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <functional>

#include "model/text_model.h"
#include "model/token_classification_head.h"
#include "tests/model/text_model_fixture.h"
#include "tests/model/tiny_model.h"

namespace octet::model {
namespace {

using octet::testing::FloatTensor;
using octet::testing::RawTensors;
using octet::testing::TempDir;
using octet::testing::TinyModelOptions;
using octet::testing::TinyTensors;
using octet::testing::WriteTinyModel;
using octet::testing::WriteWeights;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const std::vector<std::string> kLabels = {"O", "B-PER", "I-PER"};

using TokenClassificationTest = TextModelFixture;

TEST_F(TokenClassificationTest, LoadsWithLabelsAndLimit) {
  const TempDir dir;
  WriteTinyModel(dir.path(), {.max_seq_length = 9, .token_labels = kLabels});
  const auto model = Load(dir.path(), Options());
  ASSERT_NE(model, nullptr);
  EXPECT_EQ(model->info().task, Task::kTokenClassification);
  EXPECT_EQ(model->info().labels, kLabels);
  EXPECT_EQ(model->info().max_tokens, 9u);
  EXPECT_EQ(model->head().OutputSize(1), 3u);
  EXPECT_EQ(model->head().OutputSize(7), 21u);
  EXPECT_THAT(model->warnings(), IsEmpty());
}

TEST_F(TokenClassificationTest, OffsetsComeWhenAskedFor) {
  const TempDir dir;
  WriteTinyModel(dir.path(), {.token_labels = kLabels});
  const auto model = Load(dir.path(), Options());
  EXPECT_THAT(model->Tokenize("the fox", {})->offsets, IsEmpty());
  const auto encoding = model->Tokenize("the fox", {.truncate = false, .prompt_name = {}, .with_offsets = true});
  ASSERT_TRUE(encoding.ok()) << encoding.status();
  ASSERT_EQ(encoding->offsets.size(), 4u);
  EXPECT_EQ(encoding->offsets[2].begin, 4u);
  EXPECT_EQ(encoding->offsets[2].end, 7u);
}

TEST_F(TokenClassificationTest, RefusesHeadsOfAnotherShape) {
  const TinyModelOptions tiny = {.token_labels = kLabels};
  const struct {
    std::function<void(RawTensors*)> change;
    const char* reason;
  } cases[] = {
      {[](RawTensors* t) { t->erase("classifier.weight"); }, "tensor \"classifier.weight\": missing"},
      {[](RawTensors* t) { t->erase("classifier.bias"); }, "tensor \"classifier.bias\": missing"},
      {[](RawTensors* t) {
         (*t)["classifier.weight"] = FloatTensor("F32", {2, 32}, std::vector<float>(64));
       },
       "tensor \"classifier.weight\": shape [2, 32], expected [3, 32]"},
      {[](RawTensors* t) {
         (*t)["classifier.bias"] = FloatTensor("F32", {3}, {1, NAN, 3});
       },
       "\"classifier.bias\""},
  };
  for (const auto& test : cases) {
    const TempDir dir;
    WriteTinyModel(dir.path(), tiny);
    RawTensors tensors = TinyTensors(tiny);
    test.change(&tensors);
    WriteWeights(dir.path(), tensors);
    const auto model = TextModel::Load(dir.path(), Options());
    ASSERT_FALSE(model.ok()) << test.reason;
    EXPECT_THAT(std::string(model.status().message()), HasSubstr(test.reason));
  }
}

TEST_F(TokenClassificationTest, APoolerIsNoCauseForAWarning) {
  const TempDir dir;
  const TinyModelOptions tiny = {.token_labels = kLabels};
  WriteTinyModel(dir.path(), tiny);
  RawTensors tensors = TinyTensors(tiny);
  tensors["pooler.dense.weight"] = FloatTensor("F32", {32, 32}, std::vector<float>(32 * 32));
  WriteWeights(dir.path(), tensors);
  EXPECT_THAT(Load(dir.path(), Options())->warnings(), IsEmpty());
}

TEST_F(TokenClassificationTest, TheEstimateIsWhatTheHeadKeeps) {
  const TempDir dir, plain;
  WriteTinyModel(dir.path(), {.token_labels = kLabels});
  WriteTinyModel(plain.path(), {});
  const auto model = Load(dir.path(), Options()), embedding = Load(plain.path(), Options());
  const uint64_t head = TokenClassificationHead::WeightBytes(32, 3, isa_);
  EXPECT_EQ(model->head().weight_bytes(), head);
  EXPECT_EQ(model->memory().weight_bytes, embedding->memory().weight_bytes + head);
  EXPECT_EQ(model->memory().arena_bytes,
            embedding->memory().arena_bytes + TokenClassificationHead::WorkspaceBytes(32, 3));
}

TEST_F(TokenClassificationTest, EmbedAndPairsAreRefused) {
  const TempDir dir;
  WriteTinyModel(dir.path(), {.token_labels = kLabels});
  const auto model = Load(dir.path(), Options());
  kernels::ThreadTeam team(1);
  const auto workspace = model->NewWorkspace(&team);
  const int32_t ids[] = {2, 3};
  const uint32_t starts[] = {0, 2};
  float out[32];
  EXPECT_EQ(model->Embed({.ids = ids, .type_ids = {}, .starts = starts}, workspace.get(), {out, 1, 32}),
            absl::FailedPreconditionError("the model is for token classification, not embedding"));
  EXPECT_EQ(model->TokenizePair("fox", "dog", {}).status(),
            absl::InvalidArgumentError("a pair, the model takes single texts only"));
}

// Texts of every kind of length, more than one block of the head.
std::vector<text::Encoding> ManyEncodings(const TextModel& model) {
  std::vector<text::Encoding> encodings;
  std::string words;
  for (size_t i = 0; i < 40; ++i) {
    words += i % 3 == 0 ? " fox" : i % 3 == 1 ? " zebra" : " ?";
    const std::string text = i % 20 == 0 ? std::string() : words.substr(0, i % 17 * 3);
    encodings.push_back(*model.Tokenize(text, {.truncate = true, .prompt_name = {}}));
  }
  return encodings;
}

TEST_F(TokenClassificationTest, LogitsHaveTheSameBitsAloneAndInAnyBatch) {
  const TempDir even, odd;
  WriteTinyModel(even.path(), {.token_labels = kLabels});
  TinyModelOptions many = {.hidden_dim = 78, .num_heads = 3, .intermediate_dim = 150};
  for (int i = 0; i < 37; ++i) many.token_labels.push_back("label " + std::to_string(i));
  WriteTinyModel(odd.path(), many);
  for (const std::string& directory : {even.path(), odd.path()}) {
    for (const Precision precision : {Precision::kF32, Precision::kInt8}) {
      const auto model = Load(directory, Options(precision, 3));
      const std::vector<text::Encoding> encodings = ManyEncodings(*model);
      std::vector<float> alone;
      for (const text::Encoding& encoding : encodings) {
        const std::vector<float> logits = Logits(*model, {encoding}, 1);
        ASSERT_EQ(logits.size(), encoding.ids.size() * model->info().labels.size());
        alone.insert(alone.end(), logits.begin(), logits.end());
      }
      for (const int num_threads : {1, 2, 3}) {
        const std::vector<float> together = Logits(*model, encodings, num_threads);
        EXPECT_EQ(std::memcmp(together.data(), alone.data(), alone.size() * sizeof(float)), 0) << num_threads;
      }
      // At other places in the head's blocks, among other neighbours.
      const std::vector<text::Encoding> later(encodings.begin() + 5, encodings.end());
      const std::vector<float> shifted = Logits(*model, later, 2);
      EXPECT_EQ(
          std::memcmp(shifted.data(), alone.data() + (alone.size() - shifted.size()), shifted.size() * sizeof(float)),
          0);
    }
  }
}

}  // namespace
}  // namespace octet::model
