#include "model/sentence_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/model/tiny_model.h"

namespace octet::model {
namespace {

using octet::testing::TempDir;
using octet::testing::WriteFile;
using octet::testing::WriteTinyModel;
using ::testing::HasSubstr;

absl::StatusOr<SentenceConfig> Read(const std::string& path) {
  const auto directory = ModelDirectory::Open(path);
  return ReadSentenceConfig(**directory);
}

TEST(SentenceConfigTest, ReadsEverySetting) {
  for (const auto& [name, pooling] :
       std::map<std::string, Pooling>{{"mean", Pooling::kMean}, {"cls", Pooling::kCls}, {"max", Pooling::kMax}}) {
    const TempDir dir;
    WriteTinyModel(dir.path(), {.pooling = name,
                                .normalize = name == "cls",
                                .max_seq_length = 17,
                                .prompts = {{"query", "query: "}},
                                .default_prompt_name = "query"});
    const auto config = Read(dir.path());
    ASSERT_TRUE(config.ok()) << config.status();
    EXPECT_EQ(config->pooling, pooling);
    EXPECT_EQ(config->normalize, name == "cls");
    EXPECT_EQ(config->max_seq_length, 17u);
    EXPECT_EQ(config->embedding_dim, 32u);
    EXPECT_EQ(config->prompts.at("query"), "query: ");
    EXPECT_EQ(config->default_prompt_name, "query");
  }
}

TEST(SentenceConfigTest, WithoutFilesIsMeanNotNormalized) {
  const TempDir dir;
  const auto config = Read(dir.path());
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->pooling, Pooling::kMean);
  EXPECT_FALSE(config->normalize);
  EXPECT_FALSE(config->max_seq_length.has_value());
}

TEST(SentenceConfigTest, RefusesTheUnknownByName) {
  const std::string transformer = R"({"type":"sentence_transformers.models.Transformer","path":""})";
  const std::string pooling = R"({"type":"sentence_transformers.models.Pooling","path":"1_Pooling"})";
  const struct {
    const char* file;
    std::string text;
    const char* reason;
  } cases[] = {
      {"modules.json",
       "[" + transformer + "," + pooling + R"(,{"type":"sentence_transformers.models.Dense","path":"2_Dense"}])",
       "sentence_transformers.models.Dense"},
      {"modules.json", R"([{"type":"evil.Transformer","path":""}])", "evil.Transformer"},
      {"modules.json", "[" + transformer + "]", "modules \"Transformer\""},
      {"modules.json", "[" + pooling + "," + transformer + "]", "path: got \"1_Pooling\""},
      {"modules.json", "{}", "expected an array"},
      {"1_Pooling/config.json", R"({"pooling_mode_lasttoken":true,"pooling_mode_mean_tokens":false})",
       "pooling_mode_lasttoken is not supported"},
      {"1_Pooling/config.json", R"({"pooling_mode_cls_token":true,"pooling_mode_mean_tokens":true})", "at once"},
      {"1_Pooling/config.json", R"({"pooling_mode_mean_tokens":false})", "no pooling mode"},
      {"1_Pooling/config.json", R"({"pooling_mode":"attention"})", "pooling_mode: got \"attention\""},
      {"1_Pooling/config.json", R"({"pooling_mode_new":true})", "unknown key \"pooling_mode_new\""},
      {"1_Pooling/config.json", R"({"include_prompt":false})", "include_prompt: got false"},
      {"sentence_bert_config.json", R"({"max_seq_length":0})", "max_seq_length: got 0"},
      {"sentence_bert_config.json", R"({"max_seq_len":5})", "unknown key \"max_seq_len\""},
      {"config_sentence_transformers.json", R"({"default_prompt_name":"query"})", "default_prompt_name: got \"query\""},
      {"config_sentence_transformers.json", R"({"prompts":{"a":1}})", "prompts: \"a\": got 1"},
      {"config_sentence_transformers.json", R"({"model_type":"SparseEncoder"})", "SparseEncoder"},
  };
  for (const auto& test : cases) {
    SCOPED_TRACE(test.text);
    const TempDir dir;
    WriteTinyModel(dir.path());
    WriteFile(dir.File(test.file), test.text);
    const auto config = Read(dir.path());
    ASSERT_FALSE(config.ok());
    EXPECT_THAT(std::string(config.status().message()), HasSubstr(test.reason));
  }
}

}  // namespace
}  // namespace octet::model
