#include "model/text_model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>

#include "nlohmann/json.hpp"
#include "tests/model/tiny_model.h"

namespace octet::model {
namespace {

using octet::testing::RawTensors;
using octet::testing::ReadFile;
using octet::testing::TempDir;
using octet::testing::TinyConfig;
using octet::testing::TinyModelOptions;
using octet::testing::TinyTensors;
using octet::testing::WriteFile;
using octet::testing::WriteTinyModel;
using octet::testing::WriteWeights;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TextModelOptions F32() { return {.precision = Precision::kF32, .isa = DetectIsa(), .max_batch_tokens = 256}; }

std::vector<float> EmbedText(const TextModel& model, absl::string_view text) {
  const auto encoding = model.Tokenize(text, {});
  EXPECT_TRUE(encoding.ok()) << encoding.status();
  const uint32_t starts[] = {0, static_cast<uint32_t>(encoding->ids.size())};
  std::vector<float> out(model.info().hidden_dim);
  kernels::ThreadTeam team(1);
  const auto workspace = model.NewWorkspace(&team);
  EXPECT_TRUE(
      model
          .Embed({.ids = encoding->ids, .type_ids = {}, .starts = starts}, workspace.get(), {out.data(), 1, out.size()})
          .ok());
  return out;
}

TEST(TextModelTest, LoadsWithTheLimitAndPromptsOfItsFiles) {
  const TempDir dir;
  WriteTinyModel(dir.path(), {.max_seq_length = 9, .prompts = {{"q", "query "}}, .default_prompt_name = "q"});
  const auto model = TextModel::Load(dir.path(), F32());
  ASSERT_TRUE(model.ok()) << model.status();
  EXPECT_EQ((*model)->info().max_tokens, 9u);
  EXPECT_THAT((*model)->warnings(), IsEmpty());
  EXPECT_EQ((*model)->Tokenize("fox", {})->ids.size(), 4u);                   // default prompt
  EXPECT_EQ((*model)->Tokenize("fox", {.prompt_name = ""})->ids.size(), 3u);  // none
  EXPECT_FALSE((*model)->Tokenize("fox", {.prompt_name = "other"}).ok());
  const std::string nine_words = "a a a a a a a a a";
  EXPECT_EQ(std::string((*model)->Tokenize(nine_words, {.prompt_name = ""}).status().message()), "11 tokens, limit 9");
  EXPECT_EQ((*model)->Tokenize(nine_words, {.truncate = true, .prompt_name = {}})->ids.size(), 9u);
}

TEST(TextModelTest, StorageTypePrefixAndShardsDoNotChangeTheVectors) {
  const TempDir dir, other;
  WriteTinyModel(dir.path());
  WriteTinyModel(other.path(), {.dtype = "F64", .prefix = "bert.", .num_shards = 3});
  const auto a = TextModel::Load(dir.path(), F32()), b = TextModel::Load(other.path(), F32());
  ASSERT_TRUE(a.ok() && b.ok()) << a.status() << b.status();
  EXPECT_EQ(EmbedText(**a, "what is deep learning?"), EmbedText(**b, "what is deep learning?"));
}

TEST(TextModelTest, F14_AnswersDoNotDependOnTheFilesAfterLoad) {
  const TempDir dir;
  WriteTinyModel(dir.path());
  const auto model = TextModel::Load(dir.path(), F32());
  ASSERT_TRUE(model.ok()) << model.status();
  const std::vector<float> before = EmbedText(**model, "fox");
  std::filesystem::resize_file(dir.File("model.safetensors"), 0);
  std::filesystem::remove(dir.File("tokenizer.json"));
  EXPECT_EQ(EmbedText(**model, "fox"), before);
}

TEST(TextModelTest, ClassificationHeadIsAWarning) {
  const TempDir dir;
  WriteTinyModel(dir.path());
  RawTensors tensors = TinyTensors({});
  tensors["classifier.weight"] = octet::testing::FloatTensor("F32", {2, 1}, {1, 2});
  WriteWeights(dir.path(), tensors);
  const auto model = TextModel::Load(dir.path(), F32());
  ASSERT_TRUE(model.ok()) << model.status();
  EXPECT_THAT((*model)->warnings(), ElementsAre(HasSubstr("\"classifier.weight\"")));
}

TEST(TextModelTest, F24_TakesTheSmallerLimitAndSaysSo) {
  const TempDir dir;
  WriteTinyModel(dir.path(), {.max_seq_length = 1000});
  const auto model = TextModel::Load(dir.path(), F32());
  ASSERT_TRUE(model.ok()) << model.status();
  EXPECT_EQ((*model)->info().max_tokens, 64u);
  EXPECT_THAT((*model)->warnings(), ElementsAre(HasSubstr("the limit is 64")));
}

TEST(TextModelTest, RefusesWhatDoesNotFitTogether) {
  const struct {
    const char* row;
    std::function<void(const std::string& dir, TextModelOptions*)> change;
    const char* reason;
  } cases[] = {
      {"F12 missing",
       [](const std::string& dir, auto*) {
         RawTensors tensors = TinyTensors({});
         tensors.erase("encoder.layer.1.output.dense.bias");
         WriteWeights(dir, tensors);
       },
       "tensor \"encoder.layer.1.output.dense.bias\": missing"},
      {"F19 vocabulary",
       [](const std::string& dir, auto*) { WriteFile(dir + "/config.json", TinyConfig({.vocab_size = 129})); },
       "tensor \"embeddings.word_embeddings.weight\": shape [128, 32], expected [129, 32]"},
      {"F20 ids above the rows",
       [](const std::string& dir, auto*) { WriteFile(dir + "/tokenizer.json", octet::testing::TinyTokenizer(129)); },
       "tokenizer.json: ids up to 128"},
      {"F24 lower-casing",
       [](const std::string& dir, auto*) {
         auto tokenizer = nlohmann::json::parse(ReadFile(dir + "/tokenizer.json"));
         tokenizer["normalizer"]["lowercase"] = false;
         WriteFile(dir + "/tokenizer.json", tokenizer.dump());
         WriteFile(dir + "/sentence_bert_config.json", R"({"do_lower_case": true})");
       },
       "do_lower_case"},
      {"F26 limit", [](const std::string&, TextModelOptions* o) { o->memory_limit_bytes = 1 << 20; },
       "MiB, limit 1 MiB"},
      {"C2 budget", [](const std::string&, TextModelOptions* o) { o->max_batch_tokens = 31; }, "max_batch_tokens: 31"},
      {"pooling width",
       [](const std::string& dir, auto*) {
         WriteFile(dir + "/1_Pooling/config.json", R"({"word_embedding_dimension": 64})");
       },
       "embedding dimension 64"},
  };
  for (const auto& test : cases) {
    SCOPED_TRACE(test.row);
    const TempDir dir;
    WriteTinyModel(dir.path());
    TextModelOptions options = F32();
    test.change(dir.path(), &options);
    const auto model = TextModel::Load(dir.path(), options);
    ASSERT_FALSE(model.ok());
    EXPECT_THAT(std::string(model.status().message()), HasSubstr(test.reason));
  }
}

TEST(FinishEmbeddingTest, CutsBeforeNormalizing) {
  std::vector<float> v = {3, 4, 100};
  EXPECT_EQ(FinishEmbedding(v, 2, true), 2u);
  EXPECT_FLOAT_EQ(v[0], 0.6f);
  EXPECT_FLOAT_EQ(v[1], 0.8f);
  std::vector<float> zero(4), large(4, 3e38f);
  FinishEmbedding(zero, 4, true);
  EXPECT_EQ(zero, std::vector<float>(4));
  FinishEmbedding(large, 4, true);
  EXPECT_EQ(large, std::vector<float>(4, 0.5f));
  large[2] = NAN;
  EXPECT_FALSE(IsFinite(large));
}

}  // namespace
}  // namespace octet::model
