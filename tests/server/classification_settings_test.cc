#include "server/cli/classification_settings.h"

#include <cmath>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace octet::cli {
namespace {

using model::ScoreActivation;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

model::TextModelConfig Classifier() {
  model::TextModelConfig config;
  config.task = model::Task::kClassification;
  config.classification = {.labels = {"spam", "ham", "eggs"}, .activation = ScoreActivation::kSigmoid};
  return config;
}

TEST(PredictionsOfTest, NothingSaidIsEveryLabelScoredAsTheModelSays) {
  const auto options = PredictionsOf({}, Classifier());
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_EQ(options->activation, ScoreActivation::kSigmoid);
  EXPECT_EQ(options->top_k, 0u);
  EXPECT_THAT(options->thresholds, IsEmpty());
  EXPECT_TRUE(PredictionsOf({}, model::TextModelConfig()).ok());
}

void AddThreshold(const std::string& label, double threshold, config::v1::Classification* classification) {
  auto& entry = *classification->add_thresholds();
  entry.set_label(label);
  entry.set_threshold(threshold);
}

TEST(PredictionsOfTest, SettingsTakeThePlaceOfTheModels) {
  config::v1::Model settings;
  auto& classification = *settings.mutable_classification();
  classification.set_scores("raw");
  classification.set_top_k(2);
  AddThreshold("ham", 0.75, &classification);
  auto options = PredictionsOf(settings, Classifier());
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_EQ(options->activation, ScoreActivation::kRaw);
  EXPECT_EQ(options->top_k, 2u);
  EXPECT_THAT(options->thresholds, ElementsAre(-INFINITY, 0.75f, -INFINITY));
  classification.set_threshold(0.5);
  options = PredictionsOf(settings, Classifier());
  EXPECT_THAT(options->thresholds, ElementsAre(0.5f, 0.75f, 0.5f));
}

TEST(PredictionsOfTest, RefusesUnknownLabelsAndModelsWithAnotherTask) {
  config::v1::Model settings;
  AddThreshold("spamm", 1, settings.mutable_classification());
  EXPECT_THAT(std::string(PredictionsOf(settings, Classifier()).status().message()),
              HasSubstr("classification.thresholds: the model has no label \"spamm\"; nearest is \"spam\""));
  EXPECT_THAT(std::string(PredictionsOf(settings, model::TextModelConfig()).status().message()),
              HasSubstr("classification: given, but the model's task is embedding"));
}

}  // namespace
}  // namespace octet::cli
