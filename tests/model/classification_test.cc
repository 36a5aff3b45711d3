// A classification model from directory to logits: what it loads, what it refuses, and that a text's or pair's
// logits have the same bits alone and in any batch. One process runs at one instruction-set level; ctest starts
// one per level.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "model/classification_head.h"
#include "model/text_model.h"
#include "nlohmann/json.hpp"
#include "tests/model/text_model_fixture.h"
#include "tests/model/tiny_model.h"

namespace octet::model {
namespace {

using octet::testing::FloatTensor;
using octet::testing::RawTensors;
using octet::testing::ReadFile;
using octet::testing::TempDir;
using octet::testing::TinyModelOptions;
using octet::testing::TinyTensors;
using octet::testing::WriteFile;
using octet::testing::WriteTinyModel;
using octet::testing::WriteWeights;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

using ClassificationTest = TextModelFixture;

TEST_F(ClassificationTest, LoadsWithLabelsActivationAndLimit) {
  const TempDir dir;
  WriteTinyModel(dir.path(), {.max_seq_length = 9, .num_labels = 3, .problem_type = "multi_label_classification"});
  const auto model = Load(dir.path(), Options());
  ASSERT_NE(model, nullptr);
  EXPECT_EQ(model->info().task, Task::kClassification);
  EXPECT_THAT(model->info().labels, ElementsAre("label 0", "label 1", "label 2"));
  EXPECT_EQ(model->info().activation, ScoreActivation::kSigmoid);
  EXPECT_EQ(model->info().max_tokens, 9u);
  EXPECT_EQ(model->head().OutputSize(1), 3u);
  EXPECT_THAT(model->warnings(), IsEmpty());
}

TEST_F(ClassificationTest, WithoutALengthThePositionsAreTheLimit) {
  const TempDir dir;
  WriteTinyModel(dir.path(), {.max_seq_length = 0, .num_labels = 2});
  EXPECT_EQ(Load(dir.path(), Options())->info().max_tokens, 64u);
  WriteTinyModel(dir.path(), {.max_seq_length = 512, .num_labels = 2});
  const auto model = Load(dir.path(), Options());
  EXPECT_EQ(model->info().max_tokens, 64u);
  EXPECT_THAT(model->warnings(), ElementsAre(HasSubstr("model_max_length: 512 is above the 64 positions")));
}

TEST_F(ClassificationTest, PrefixStorageAndShardsDoNotChangeTheLogits) {
  const TempDir dir, other;
  WriteTinyModel(dir.path(), {.num_labels = 3});
  WriteTinyModel(other.path(), {.dtype = "F64", .prefix = "bert.", .num_shards = 3, .num_labels = 3});
  const auto a = Load(dir.path(), Options()), b = Load(other.path(), Options());
  const std::vector<text::Encoding> texts = {*a->Tokenize("what is deep learning?", {})};
  EXPECT_EQ(Logits(*a, texts, 1), Logits(*b, texts, 1));
}

TEST_F(ClassificationTest, AHeadThatOctetDoesNotRunIsAnEmbeddingModelWithAWarning) {
  const TempDir dir;
  WriteTinyModel(dir.path(), {.num_labels = 3});
  auto config = nlohmann::json::parse(ReadFile(dir.File("config.json")));
  config["architectures"] = {"BertForMultipleChoice"};
  WriteFile(dir.File("config.json"), config.dump());
  const auto model = Load(dir.path(), Options());
  EXPECT_EQ(model->info().task, Task::kEmbedding);
  EXPECT_THAT(model->warnings(), ElementsAre(HasSubstr("\"classifier.bias\", \"classifier.weight\"")));
}

TEST_F(ClassificationTest, RefusesHeadsOfAnotherShape) {
  const TinyModelOptions tiny = {.num_labels = 3};
  const struct {
    std::function<void(RawTensors*)> change;
    const char* reason;
  } cases[] = {
      {[](RawTensors* t) { t->erase("classifier.bias"); }, "tensor \"classifier.bias\": missing"},
      {[](RawTensors* t) { t->erase("pooler.dense.weight"); }, "tensor \"pooler.dense.weight\": missing"},
      {[](RawTensors* t) {
         (*t)["classifier.weight"] = FloatTensor("F32", {2, 32}, std::vector<float>(64));
       },
       "tensor \"classifier.weight\": shape [2, 32], expected [3, 32]"},
      {[](RawTensors* t) {
         (*t)["classifier.bias"] = FloatTensor("F32", {1, 3}, {1, 2, 3});
       },
       "tensor \"classifier.bias\": shape [1, 3], expected [3]"},
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

TEST_F(ClassificationTest, TheEstimateIsWhatTheHeadKeeps) {
  const TempDir dir, plain;
  WriteTinyModel(dir.path(), {.num_labels = 3});
  WriteTinyModel(plain.path(), {});
  const auto model = Load(dir.path(), Options()), embedding = Load(plain.path(), Options());
  const uint64_t head = ClassificationHead::WeightBytes(32, 3, isa_);
  EXPECT_EQ(model->head().weight_bytes(), head);
  EXPECT_EQ(model->memory().weight_bytes, embedding->memory().weight_bytes + head);
  EXPECT_EQ(model->memory().arena_bytes, embedding->memory().arena_bytes + ClassificationHead::WorkspaceBytes(32, 3));
}

TEST_F(ClassificationTest, EmbedIsRefused) {
  const TempDir dir;
  WriteTinyModel(dir.path(), {.num_labels = 3});
  const auto model = Load(dir.path(), Options());
  kernels::ThreadTeam team(1);
  const auto workspace = model->NewWorkspace(&team);
  const int32_t ids[] = {2, 3};
  const uint32_t starts[] = {0, 2};
  float out[32];
  const absl::Status status =
      model->Embed({.ids = ids, .type_ids = {}, .starts = starts}, workspace.get(), {out, 1, 32});
  EXPECT_EQ(status, absl::FailedPreconditionError("the model is for classification, not embedding"));
}

TEST_F(ClassificationTest, PairsKeepTheirSpecialTokensAndTypes) {
  const TempDir dir;
  WriteTinyModel(dir.path(), {.max_seq_length = 9, .num_labels = 2});
  const auto model = Load(dir.path(), Options());
  const auto pair = model->TokenizePair("fox", "dog", {});
  ASSERT_TRUE(pair.ok()) << pair.status();
  EXPECT_THAT(pair->type_ids, ElementsAre(0, 0, 0, 1, 1));
  EXPECT_EQ(std::string(model->TokenizePair("a a a a", "a a a", {}).status().message()), "10 tokens, limit 9");
  const auto cut = model->TokenizePair("a a a a a a a a", "a", {.truncate = true, .prompt_name = {}});
  ASSERT_TRUE(cut.ok()) << cut.status();
  EXPECT_EQ(cut->ids.size(), 9u);
  EXPECT_EQ(cut->type_ids[7], 1);  // the short second text is whole
  // The second text changes the answer, and so do its type ids.
  const std::vector<float> logits = Logits(*model, {*pair}, 1);
  text::Encoding other = *pair;
  other.type_ids.assign(other.type_ids.size(), 0);
  EXPECT_NE(Logits(*model, {other}, 1), logits);
}

TEST_F(ClassificationTest, PairsAreRefusedByAModelWithoutASecondType) {
  const TempDir dir;
  WriteTinyModel(dir.path(), {.num_token_types = 1, .num_labels = 2});
  const auto model = Load(dir.path(), Options());
  EXPECT_TRUE(model->Tokenize("fox", {}).ok());
  EXPECT_EQ(model->TokenizePair("fox", "dog", {}).status(),
            absl::InvalidArgumentError("a pair, the model takes single texts only"));
}

// Texts and pairs of every kind of length, more than one block of the head.
std::vector<text::Encoding> ManyEncodings(const TextModel& model) {
  std::vector<text::Encoding> encodings;
  std::string words;
  for (size_t i = 0; i < 70; ++i) {
    words += i % 3 == 0 ? " fox" : i % 3 == 1 ? " zebra" : " ?";
    const std::string text = i % 20 == 0 ? std::string() : words.substr(0, i % 17 * 3);
    encodings.push_back(i % 2 == 0 ? *model.Tokenize(text, {.truncate = true, .prompt_name = {}})
                                   : *model.TokenizePair(text, words, {.truncate = true, .prompt_name = {}}));
  }
  return encodings;
}

TEST_F(ClassificationTest, LogitsHaveTheSameBitsAloneAndInAnyBatch) {
  const TempDir even, odd;
  WriteTinyModel(even.path(), {.num_labels = 3});
  WriteTinyModel(odd.path(), {.hidden_dim = 78, .num_heads = 3, .intermediate_dim = 150, .num_labels = 37});
  for (const std::string& directory : {even.path(), odd.path()}) {
    for (const Precision precision : {Precision::kF32, Precision::kInt8}) {
      const auto model = Load(directory, Options(precision, 3));
      std::vector<text::Encoding> encodings = ManyEncodings(*model);
      const size_t num_labels = model->info().labels.size();
      std::vector<float> alone;
      for (const text::Encoding& encoding : encodings) {
        const std::vector<float> logits = Logits(*model, {encoding}, 1);
        alone.insert(alone.end(), logits.begin(), logits.end());
      }
      for (const int num_threads : {1, 2, 3}) {
        const std::vector<float> together = Logits(*model, encodings, num_threads);
        EXPECT_EQ(std::memcmp(together.data(), alone.data(), alone.size() * sizeof(float)), 0) << num_threads;
      }
      // At other places, among other neighbours.
      std::vector<text::Encoding> reversed(encodings.rbegin(), encodings.rend() - 5);
      const std::vector<float> backwards = Logits(*model, reversed, 2);
      for (size_t i = 0; i < reversed.size(); ++i) {
        EXPECT_EQ(std::memcmp(&backwards[i * num_labels], &alone[(encodings.size() - 1 - i) * num_labels],
                              num_labels * sizeof(float)),
                  0);
      }
    }
  }
}

}  // namespace
}  // namespace octet::model
