// What tests of models with a head share: loading at the instruction-set level that ctest chose, and one batch of texts
// through model and head. Test code.
#ifndef OCTET_TESTS_MODEL_TEXT_MODEL_FIXTURE_H_
#define OCTET_TESTS_MODEL_TEXT_MODEL_FIXTURE_H_

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "base/cpu_isa.h"
#include "model/text_model.h"

namespace octet::model {

class TextModelFixture : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto isa = IsaFromEnvironment();
    if (!isa.ok()) GTEST_SKIP() << "SKIPPED LEVEL: " << isa.status();
    isa_ = *isa;
  }

  TextModelOptions Options(Precision precision = Precision::kF32, int num_threads = 1) const {
    return {.precision = precision, .isa = isa_, .max_batch_tokens = 2048, .num_threads = num_threads};
  }

  static std::shared_ptr<const TextModel> Load(const std::string& directory, const TextModelOptions& options) {
    auto model = TextModel::Load(directory, options);
    EXPECT_TRUE(model.ok()) << model.status();
    return model.ok() ? *model : nullptr;
  }

  // Answers to all texts in one batch, [num_texts, num_labels] or [num_tokens, num_labels] as the model's head gives
  // them.
  static std::vector<float> Logits(const TextModel& model, const std::vector<text::Encoding>& encodings,
                                   int num_threads) {
    std::vector<int32_t> ids, type_ids;
    std::vector<uint32_t> starts = {0};
    for (const text::Encoding& encoding : encodings) {
      ids.insert(ids.end(), encoding.ids.begin(), encoding.ids.end());
      type_ids.insert(type_ids.end(), encoding.type_ids.begin(), encoding.type_ids.end());
      starts.push_back(static_cast<uint32_t>(ids.size()));
    }
    const bool per_token = model.info().task == Task::kTokenClassification;
    std::vector<float> logits((per_token ? ids.size() : encodings.size()) * model.info().labels.size());
    kernels::ThreadTeam team(num_threads);
    const auto workspace = model.NewWorkspace(&team);
    const auto head_workspace = model.head().NewWorkspace();
    const absl::Status status = model.Compute({.ids = ids, .type_ids = type_ids, .starts = starts}, workspace.get(),
                                              head_workspace.get(), logits);
    EXPECT_TRUE(status.ok()) << status;
    return logits;
  }

  Isa isa_ = Isa::kScalar;
};

}  // namespace octet::model

#endif  // OCTET_TESTS_MODEL_TEXT_MODEL_FIXTURE_H_
