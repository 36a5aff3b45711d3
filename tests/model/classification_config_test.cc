#include "model/classification_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "model/tokenizer_config.h"
#include "nlohmann/json.hpp"
#include "tests/model/tiny_model.h"

namespace octet::model {
namespace {

using nlohmann::json;
using octet::testing::TempDir;
using octet::testing::TinyConfig;
using octet::testing::WriteFile;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// The tiny model's config.json with these keys set, null ones taken out.
std::unique_ptr<ModelDirectory> WithKeys(const TempDir& dir, const json& changes) {
  json config = json::parse(TinyConfig({.num_labels = 3}));
  config.merge_patch(changes);
  WriteFile(dir.File("config.json"), config.dump());
  return *ModelDirectory::Open(dir.path());
}

absl::StatusOr<ClassificationConfig> Read(const json& changes) {
  const TempDir dir;
  return ReadClassificationConfig(*WithKeys(dir, changes));
}

TEST(ClassificationConfigTest, ReadsLabelsByTheirIds) {
  json labels;
  for (int i = 0; i < 12; ++i) labels[std::to_string(i)] = "l" + std::to_string(i);  // "10" sorts before "2"
  const auto config = Read({{"id2label", labels}, {"label2id", nullptr}, {"num_labels", 12}});
  ASSERT_TRUE(config.ok()) << config.status();
  ASSERT_EQ(config->labels.size(), 12u);
  for (int i = 0; i < 12; ++i) EXPECT_EQ(config->labels[static_cast<size_t>(i)], "l" + std::to_string(i));
}

TEST(ClassificationConfigTest, MissingLabelsAreThoseOfTheReference) {
  const json none = {{"id2label", nullptr}, {"label2id", nullptr}};
  EXPECT_THAT(Read(none)->labels, ElementsAre("LABEL_0", "LABEL_1"));
  json one = none;
  one["num_labels"] = 1;
  EXPECT_THAT(Read(one)->labels, ElementsAre("LABEL_0"));
}

TEST(ClassificationConfigTest, TheActivationFollowsTheProblem) {
  const json one = {{"id2label", {{"0", "x"}, {"1", nullptr}, {"2", nullptr}}}, {"label2id", nullptr}};
  const struct {
    const char* problem;
    ScoreActivation three_labels, one_label;
  } cases[] = {
      {nullptr, ScoreActivation::kSoftmax, ScoreActivation::kSigmoid},
      {"single_label_classification", ScoreActivation::kSoftmax, ScoreActivation::kSigmoid},
      {"multi_label_classification", ScoreActivation::kSigmoid, ScoreActivation::kSigmoid},
      {"regression", ScoreActivation::kRaw, ScoreActivation::kRaw},
  };
  for (const auto& test : cases) {
    json changes = {{"problem_type", test.problem == nullptr ? json() : json(test.problem)}};
    EXPECT_EQ(Read(changes)->activation, test.three_labels);
    changes.update(one);
    EXPECT_EQ(Read(changes)->activation, test.one_label);
  }
}

TEST(ClassificationConfigTest, RefusesWhatIsNotOneSetOfLabels) {
  const std::string too_long(kMaxLabelBytes + 1, 'x');
  const struct {
    json changes;
    const char* reason;
  } cases[] = {
      {{{"id2label", json::array({"a"})}}, "id2label: got an array, allowed an object of labels"},
      {{{"id2label", {{"2", nullptr}, {"3", "d"}}}}, "id2label: \"3\": not an id, allowed \"0\" to \"2\", no gaps"},
      {{{"id2label", {{"2", nullptr}, {"02", "c"}}}}, "id2label: \"02\": not an id"},
      {{{"id2label", {{"2", nullptr}, {"-1", "c"}}}}, "id2label: \"-1\": not an id"},
      {{{"id2label", {{"2", nullptr}, {"LABEL_2", "c"}}}}, "id2label: \"LABEL_2\": not an id"},
      {{{"id2label", {{"2", "label 0"}}}}, "id2label: \"2\": label \"label 0\" given twice"},
      {{{"id2label", {{"1", ""}}}}, "id2label: \"1\": label of 0 bytes, allowed 1 to 256"},
      {{{"id2label", {{"1", too_long}}}}, "id2label: \"1\": label of 257 bytes"},
      {{{"id2label", {{"1", 7}}}}, "id2label: \"1\": got 7, allowed a string"},
      {{{"num_labels", 4}}, "num_labels: got 4, allowed the number of labels in id2label, 3"},
      {{{"num_labels", 0}}, "num_labels: got 0, allowed whole numbers from 1 to 10000"},
      {{{"id2label", nullptr}, {"num_labels", 10001}}, "num_labels: got 10001"},
      {{{"label2id", {{"label 2", nullptr}}}}, "label2id: got 2 labels, the model has 3"},
      {{{"label2id", {{"label 1", 2}}}}, "label2id: \"label 1\": got 2, id2label says 1"},
      {{{"label2id", {{"label 1", "1"}}}}, "label2id: \"label 1\": got \"1\", id2label says 1"},
      {{{"label2id", {{"label 1", nullptr}, {"other", 1}}}}, "label2id: \"label 1\": missing, id2label has it at 1"},
      {{{"label2id", 3}}, "label2id: got 3, allowed an object of ids"},
      {{{"problem_type", "ranking"}}, "problem_type: got \"ranking\", allowed \"single_label_classification\""},
  };
  for (const auto& test : cases) {
    const auto config = Read(test.changes);
    ASSERT_FALSE(config.ok()) << test.reason;
    EXPECT_EQ(config.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(config.status().message()), HasSubstr(std::string("config.json: ") + test.reason));
  }
}

TEST(ClassificationConfigTest, RefusesTooManyLabelsAndLabelsThatAreNotUtf8) {
  json labels;
  for (uint32_t i = 0; i <= kMaxLabels; ++i) labels[std::to_string(i)] = "l" + std::to_string(i);
  EXPECT_THAT(std::string(Read({{"id2label", labels}}).status().message()),
              HasSubstr("id2label: got 10001 labels, allowed 1 to 10000"));
  const TempDir dir;
  std::string text = TinyConfig({.num_labels = 2});
  text.replace(text.find("label 1"), 1, "\xff");
  WriteFile(dir.File("config.json"), text);
  EXPECT_FALSE(ReadClassificationConfig(**ModelDirectory::Open(dir.path())).ok());
}

TEST(ReadTaskTest, OnlyTheTasksOwnClassesAreClassification) {
  const struct {
    json architectures;
    Task task;
  } cases[] = {
      {json::array({"BertForSequenceClassification"}), Task::kClassification},
      {json::array({"BertModel"}), Task::kEmbedding},
      {json::array({"BertForMaskedLM", "BertModel"}), Task::kEmbedding},
      {json::array({"BertForTokenClassification"}), Task::kTokenClassification},
      {json::array({"BertForMultipleChoice"}), Task::kEmbedding},
      {json::array({"RobertaForSequenceClassification"}), Task::kEmbedding},
      {json::array(), Task::kEmbedding},
      {nullptr, Task::kEmbedding},
  };
  for (const auto& test : cases) {
    const TempDir dir;
    const auto task = ReadTask(*WithKeys(dir, {{"architectures", test.architectures}}), "bert");
    ASSERT_TRUE(task.ok()) << task.status();
    EXPECT_EQ(*task, test.task) << test.architectures;
  }
}

TEST(ReadTaskTest, RefusesListsThatNameNoOneClass) {
  for (const json& architectures : {json("BertForSequenceClassification"), json::array({1}),
                                    json::array({"BertForSequenceClassification", "BertModel"}),
                                    json::array({"BertForMaskedLM", "BertForTokenClassification"})}) {
    const TempDir dir;
    const auto task = ReadTask(*WithKeys(dir, {{"architectures", architectures}}), "bert");
    ASSERT_FALSE(task.ok()) << architectures;
    EXPECT_THAT(std::string(task.status().message()), HasSubstr("config.json: architectures: got "));
  }
}

TEST(ReadModelMaxLengthTest, TakesALengthAndKnowsHowNoneIsWritten) {
  const struct {
    const char* text;
    std::optional<uint32_t> length;
  } cases[] = {
      {R"({"model_max_length": 512, "do_lower_case": true})", 512},
      {R"({"model_max_length": 1000000000000000019884624838656})", std::nullopt},
      {R"({"model_max_length": 1e30})", std::nullopt},
      {R"({"model_max_length": 18446744073709551615})", std::nullopt},
      {R"({"model_max_length": null})", std::nullopt},
      {R"({})", std::nullopt},
  };
  for (const auto& test : cases) {
    const TempDir dir;
    WriteFile(dir.File("tokenizer_config.json"), test.text);
    const auto length = ReadModelMaxLength(**ModelDirectory::Open(dir.path()));
    ASSERT_TRUE(length.ok()) << length.status();
    EXPECT_EQ(*length, test.length) << test.text;
  }
  const TempDir empty;
  EXPECT_EQ(*ReadModelMaxLength(**ModelDirectory::Open(empty.path())), std::nullopt);
}

TEST(ReadModelMaxLengthTest, RefusesWhatIsNoLength) {
  for (const char* value : {"0", "-1", "\"512\"", "512.5", "true", "-1000000000000000019884624838656"}) {
    const TempDir dir;
    WriteFile(dir.File("tokenizer_config.json"), std::string(R"({"model_max_length": )") + value + "}");
    const auto length = ReadModelMaxLength(**ModelDirectory::Open(dir.path()));
    ASSERT_FALSE(length.ok()) << value;
    EXPECT_THAT(std::string(length.status().message()), HasSubstr("tokenizer_config.json: model_max_length: got "));
  }
}

}  // namespace
}  // namespace octet::model
