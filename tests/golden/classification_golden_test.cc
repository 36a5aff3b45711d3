// Logits of a tiny classification model against those of the reference implementation, at the instruction-set level
// of OCTET_ISA (else the machine's highest). tests/golden/classification.json was made by
// tools/make_classification_goldens.py, which it names with all versions; the model is made anew here.
#include <gtest/gtest.h>

#include <fstream>
#include <vector>

#include "base/cpu_isa.h"
#include "model/predictions.h"
#include "model/sha256.h"
#include "model/text_model.h"
#include "nlohmann/json.hpp"
#include "tests/model/tiny_model.h"

namespace octet::model {
namespace {

using nlohmann::json;

constexpr float kTolerance = 1e-4F;
// Every step of a logit to a score shrinks differences: softmax has slopes of at most 1/4 for a label.
constexpr float kScoreTolerance = kTolerance;

TEST(ClassificationGoldenTest, F32LogitsAreThoseOfTheReference) {
  const auto isa = IsaFromEnvironment();
  if (!isa.ok()) GTEST_SKIP() << "SKIPPED LEVEL: " << isa.status();
  const json goldens = json::parse(std::ifstream(OCTET_SOURCE_DIR "/tests/golden/classification.json"));
  const octet::testing::TempDir dir;
  octet::testing::WriteTinyModel(dir.path(), {.num_labels = 3});
  Sha256 digest;
  digest.Update(octet::testing::ReadFile(dir.File("model.safetensors")));
  ASSERT_EQ(digest.FinishHex(), goldens["model_safetensors_sha256"].get<std::string>());
  const auto model = TextModel::Load(dir.path(), {.precision = Precision::kF32, .isa = *isa, .max_batch_tokens = 1024});
  ASSERT_TRUE(model.ok()) << model.status();

  std::vector<int32_t> ids, type_ids;
  std::vector<uint32_t> starts = {0};
  for (const json& item : goldens["items"]) {
    const std::string text = item["text"];
    const auto encoding = item["pair"].is_null() ? (*model)->Tokenize(text, {})
                                                 : (*model)->TokenizePair(text, item["pair"].get<std::string>(), {});
    ASSERT_TRUE(encoding.ok()) << encoding.status();
    EXPECT_EQ(encoding->ids, item["ids"].get<std::vector<int32_t>>());
    EXPECT_EQ(encoding->type_ids, item["type_ids"].get<std::vector<int32_t>>());
    ids.insert(ids.end(), encoding->ids.begin(), encoding->ids.end());
    type_ids.insert(type_ids.end(), encoding->type_ids.begin(), encoding->type_ids.end());
    starts.push_back(static_cast<uint32_t>(ids.size()));
  }
  ASSERT_GE(goldens["items"].size(), 10u);

  kernels::ThreadTeam team(1);
  const auto workspace = (*model)->NewWorkspace(&team);
  std::vector<float> logits(goldens["items"].size() * 3);
  ASSERT_TRUE((*model)
                  ->Compute({.ids = ids, .type_ids = type_ids, .starts = starts}, workspace.get(),
                            (*model)->head().NewWorkspace().get(), logits)
                  .ok());
  for (size_t i = 0; i < goldens["items"].size(); ++i) {
    const json& item = goldens["items"][i];
    const std::span<const float> row(&logits[i * 3], 3);
    std::vector<float> scores(3);
    ComputeScores(ScoreActivation::kSoftmax, row, scores);
    for (size_t label = 0; label < 3; ++label) {
      EXPECT_NEAR(row[label], item["logits"][label].get<float>(), kTolerance) << "item " << i << " label " << label;
      EXPECT_NEAR(scores[label], item["softmax"][label].get<float>(), kScoreTolerance) << "item " << i;
    }
  }
}

}  // namespace
}  // namespace octet::model
