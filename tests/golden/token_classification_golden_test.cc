// A tiny token classification model against the reference implementation, at the instruction-set level of OCTET_ISA (else
// the machine's highest): token ids of sentences given as words, the first token of each word, logits of every token.
// tests/golden/token_classification.json was made by tools/make_token_classification_goldens.py, with the versions
// that it names; the model is made anew here.
#include <gtest/gtest.h>

#include <fstream>
#include <optional>
#include <string>
#include <vector>

#include "base/cpu_isa.h"
#include "model/sha256.h"
#include "model/text_model.h"
#include "nlohmann/json.hpp"
#include "tests/model/tiny_model.h"
#include "text/split_words.h"

namespace octet::model {
namespace {

using nlohmann::json;

constexpr float kTolerance = 1e-4F;

std::vector<std::optional<size_t>> OptionalsOf(const json& values) {
  std::vector<std::optional<size_t>> optionals;
  for (const json& value : values) {
    optionals.push_back(value.is_null() ? std::nullopt : std::optional<size_t>(value.get<size_t>()));
  }
  return optionals;
}

TEST(TokenClassificationGoldenTest, IdsWordsAndF32LogitsAreThoseOfTheReference) {
  const auto isa = IsaFromEnvironment();
  if (!isa.ok()) GTEST_SKIP() << "SKIPPED LEVEL: " << isa.status();
  const json goldens = json::parse(std::ifstream(OCTET_SOURCE_DIR "/tests/golden/token_classification.json"));
  const octet::testing::TempDir dir;
  octet::testing::WriteTinyModel(dir.path(), {.token_labels = {"O", "B-PER", "I-PER", "B-LOC", "I-LOC"}});
  Sha256 digest;
  digest.Update(octet::testing::ReadFile(dir.File("model.safetensors")));
  ASSERT_EQ(digest.FinishHex(), goldens["model_safetensors_sha256"].get<std::string>());
  const auto model = TextModel::Load(dir.path(), {.precision = Precision::kF32, .isa = *isa, .max_batch_tokens = 1024});
  ASSERT_TRUE(model.ok()) << model.status();

  std::vector<int32_t> ids, type_ids;
  std::vector<uint32_t> starts = {0};
  for (const json& item : goldens["items"]) {
    const text::JoinedWords joined = text::JoinWords(item["words"].get<std::vector<std::string>>());
    const auto encoding = (*model)->Tokenize(joined.text, {.truncate = false, .prompt_name = {}, .with_offsets = true});
    ASSERT_TRUE(encoding.ok()) << encoding.status();
    EXPECT_EQ(encoding->ids, item["ids"].get<std::vector<int32_t>>()) << item["words"];
    EXPECT_EQ(text::FirstTokensOfWords(encoding->offsets, joined.words), OptionalsOf(item["first_tokens"]))
        << item["words"];
    ids.insert(ids.end(), encoding->ids.begin(), encoding->ids.end());
    type_ids.insert(type_ids.end(), encoding->type_ids.begin(), encoding->type_ids.end());
    starts.push_back(static_cast<uint32_t>(ids.size()));
  }
  ASSERT_GE(goldens["items"].size(), 10u);

  kernels::ThreadTeam team(1);
  const auto workspace = (*model)->NewWorkspace(&team);
  std::vector<float> logits((*model)->head().OutputSize(ids.size()));
  ASSERT_EQ(logits.size(), ids.size() * 5);
  ASSERT_TRUE((*model)
                  ->Compute({.ids = ids, .type_ids = type_ids, .starts = starts}, workspace.get(),
                            (*model)->head().NewWorkspace().get(), logits)
                  .ok());
  size_t i = 0;
  for (const json& item : goldens["items"]) {
    for (const json& token : item["logits"]) {
      for (const json& logit : token) EXPECT_NEAR(logits[i++], logit.get<float>(), kTolerance) << item["words"];
    }
  }
  EXPECT_EQ(i, logits.size());
}

}  // namespace
}  // namespace octet::model
