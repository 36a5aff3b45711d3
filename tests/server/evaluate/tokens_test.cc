// The task "tokens" with answers made by hand: what its files are, how words are scored, and what is refused.
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/cli/evaluate/task.h"
#include "server/cli/evaluate/token_data.h"

namespace octet::cli {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr float kNone = std::numeric_limits<float>::quiet_NaN();

DataFile FileOf(const std::string& content) { return {.path = "data", .content = content, .digest = {}}; }

std::vector<LabelledSentence> Sentences(const std::string& content, const LabelIndices& names = {},
                                        uint64_t limit = 0) {
  const DataFile file = FileOf(content);
  auto sentences = ReadTokenData(file, names, limit);
  EXPECT_TRUE(sentences.ok()) << sentences.status();
  return sentences.ok() ? *std::move(sentences) : std::vector<LabelledSentence>();
}

std::string ErrorOf(const std::string& content, const LabelIndices& names = {}) {
  const DataFile file = FileOf(content);
  const auto sentences = ReadTokenData(file, names, /*limit=*/0);
  EXPECT_FALSE(sentences.ok()) << content;
  EXPECT_EQ(sentences.status().code(), absl::StatusCode::kInvalidArgument);
  return std::string(sentences.status().message());
}

TEST(TokenDataTest, ReadsConllWithTabsOrBlanks) {
  for (const char* content :
       {"The\tO\nfox\tB-X\n\nA\tO\n", "The O\r\nfox  B-X\r\n\r\n\r\nA O", "\nThe O\nfox B-X\n \nA O\n\n"}) {
    const auto sentences = Sentences(content);
    ASSERT_EQ(sentences.size(), 2u) << content;
    EXPECT_THAT(sentences[0].words, ElementsAre("The", "fox"));
    EXPECT_THAT(sentences[0].labels, ElementsAre("O", "B-X"));
    EXPECT_THAT(sentences[1].words, ElementsAre("A"));
  }
  EXPECT_THAT(Sentences("The\tO\nfox\tB-X\n\nA\tO\n")[1].lines, ElementsAre(4));
}

TEST(TokenDataTest, TakesTheFirstAndTheLastColumnAndSkipsDocumentStarts) {
  const auto sentences = Sentences("-DOCSTART- -X- -X- O\n\nEU NNP B-NP B-ORG\n-DOCSTART- O\nrejects VBZ B-VP O\n");
  ASSERT_EQ(sentences.size(), 2u);
  EXPECT_THAT(sentences[0].words, ElementsAre("EU"));
  EXPECT_THAT(sentences[0].labels, ElementsAre("B-ORG"));
  EXPECT_THAT(sentences[1].labels, ElementsAre("O"));
  // Between tabs a word may have blanks.
  EXPECT_THAT(Sentences("New York\tB-LOC\n")[0].words, ElementsAre("New York"));
  // Commas are labels like others when labels are names.
  EXPECT_THAT(Sentences(",\t,\n")[0].labels, ElementsAre(","));
}

TEST(TokenDataTest, ReadsJsonLines) {
  const auto sentences = Sentences(
      "{\"id\": 1, \"tokens\": [\"a\", \"b c\"], \"labels\": [\"O\", \"B-X\"]}\n\n"
      "{\"tokens\": [\"d\"], \"ner_tags\": [\"O\"]}\n");
  ASSERT_EQ(sentences.size(), 2u);
  EXPECT_THAT(sentences[0].words, ElementsAre("a", "b c"));
  EXPECT_THAT(sentences[0].labels, ElementsAre("O", "B-X"));
  EXPECT_THAT(sentences[1].lines, ElementsAre(3));
}

TEST(TokenDataTest, LabelNamesGiveIndicesAMeaning) {
  const LabelIndices names = {{"O", 0}, {"B-X", 1}};
  EXPECT_THAT(Sentences("{\"tokens\": [\"a\", \"b\", \"c\"], \"ner_tags\": [1, 0, \"B-X\"]}", names)[0].labels,
              ElementsAre("B-X", "O", "B-X"));
  EXPECT_THAT(Sentences("a\t1\nb\tO\n", names)[0].labels, ElementsAre("B-X", "O"));
  EXPECT_THAT(ErrorOf("a\tO\n\nb\tB-Y\n", names), HasSubstr("data:3: label \"B-Y\": unknown; want one of the 2 names"));
  EXPECT_THAT(ErrorOf("{\"tokens\": [\"a\"], \"ner_tags\": [2]}", names), HasSubstr("data:1: label \"2\": unknown"));
  EXPECT_EQ(ErrorOf("a\t0,1\n", names), "data:1: label \"0,1\": 2 labels, want one for a word");
}

TEST(TokenDataTest, Limits) {
  EXPECT_EQ(Sentences("a\tO\n\nb\tO\n\nc\tO\n", {}, 2).size(), 2u);
  EXPECT_EQ(Sentences("{\"tokens\": [\"a\"], \"labels\": [\"O\"]}\nnot read\n", {}, 1).size(), 1u);
}

TEST(TokenDataTest, NamesTheLineOfWhatIsWrong) {
  EXPECT_EQ(ErrorOf("a\tO\nb\n"), "data:2: 1 column, want a word and its label");
  EXPECT_EQ(ErrorOf("a\tO\nb\tx\tO\n"), "data:2: 3 columns, the first word has 2");
  EXPECT_EQ(ErrorOf("a\tO\n\tO\n"), "data:2: empty word");
  EXPECT_EQ(ErrorOf("a\tO\nb\t\n"), "data:2: empty label");
  EXPECT_EQ(ErrorOf("-DOCSTART- O\n\n"), "data: no sentences");
  EXPECT_EQ(ErrorOf("{\"tokens\": [\"a\"], \"labels\": [\"O\"]}\n{\n"), "data:2: not a JSON object");
  EXPECT_EQ(ErrorOf("{\"words\": [\"a\"]}"), "data:1: no \"tokens\" among the keys \"words\"");
  EXPECT_EQ(ErrorOf("{\"tokens\": [\"a\"], \"tags\": [0]}"),
            "data:1: no \"labels\", \"ner_tags\" among the keys \"tags\", \"tokens\"");
  EXPECT_EQ(ErrorOf("{\"tokens\": \"a\", \"labels\": []}"), "data:1: \"tokens\": string, want an array");
  EXPECT_EQ(ErrorOf("{\"tokens\": [\"a\", \"b\"], \"labels\": [\"O\"]}"),
            "data:1: 2 tokens, but 1 labels; want as many");
  EXPECT_EQ(ErrorOf("{\"tokens\": [], \"labels\": []}"), "data:1: no tokens; leave the sentence out");
  EXPECT_EQ(ErrorOf("{\"tokens\": [1], \"labels\": [\"O\"]}"), "data:1: \"tokens\": number, want strings");
  EXPECT_EQ(ErrorOf("{\"tokens\": [\"\"], \"labels\": [\"O\"]}"), "data:1: empty word");
  EXPECT_EQ(ErrorOf("{\"tokens\": [\"a\"], \"labels\": [3]}"), "data:1: label 3: an index needs --labels FILE");
  EXPECT_EQ(ErrorOf("{\"tokens\": [\"a\"], \"labels\": [-1]}"), "data:1: labels: number -1, want names or indices");
  EXPECT_EQ(ErrorOf("{\"tokens\": [\"a\"], \"labels\": [null]}"), "data:1: labels: null null, want names or indices");
}

class TokensTaskTest : public testing::Test {
 protected:
  TokensTaskTest() { fs::create_directories(folder_); }
  ~TokensTaskTest() override { fs::remove_all(folder_); }

  std::string Write(const std::string& name, const std::string& content) {
    std::ofstream(folder_ + "/" + name, std::ios::binary) << content;
    return folder_ + "/" + name;
  }
  absl::StatusOr<std::unique_ptr<Task>> Make(const std::string& content) {
    options_.task = "tokens";
    options_.data = Write("data.conll", content);
    options_.bootstrap.num_resamples = 200;
    return MakeTask(options_);
  }

  const std::string folder_ = testing::TempDir() + "/evaluate_tokens_" + std::to_string(getpid());
  TaskOptions options_;
};

MatrixView<const float> Rows(const std::vector<float>& values, size_t width) {
  return {values.data(), values.size() / width, width};
}

TEST_F(TokensTaskTest, JoinsWordsAndScoresEntities) {
  const auto task = Make("The O\nfox B-X\nruns I-X\n\nfox B-X\n");
  ASSERT_TRUE(task.ok()) << task.status();
  EXPECT_EQ((*task)->description().num_examples, 2u);
  EXPECT_EQ((*task)->description().main_metric, "entity_f1");
  EXPECT_EQ((*task)->model_task(), model::Task::kTokenClassification);
  ASSERT_EQ((*task)->texts().size(), 2u);
  EXPECT_EQ((*task)->texts()[0].text, "The fox runs");
  EXPECT_EQ((*task)->texts()[0].words.size(), 3u);
  EXPECT_EQ((*task)->texts()[1].origin, folder_ + "/data.conll:5");
  ASSERT_TRUE((*task)->FitLabels({"I-X", "B-X", "O"}).ok());
  // O, B-X, I-X; then O for B-X.
  const auto scores = (*task)->Score(Rows({0, 0, 1, 0, 1, 0, 1, 0, 0, 0, 0, 1}, 3));
  ASSERT_TRUE(scores.ok()) << scores.status();
  ASSERT_EQ(scores->metrics.size(), 4u);
  EXPECT_EQ(scores->metrics[0].name, "entity_f1");
  EXPECT_NEAR(scores->metrics[0].value, 2.0 / 3, 1e-12);
  EXPECT_EQ(scores->metrics[3].name, "accuracy");
  EXPECT_NEAR(scores->metrics[3].value, 0.75, 1e-12);
  EXPECT_EQ(scores->num_clipped_words, 0u);
  EXPECT_EQ(scores->replicates.size(), 200u);
  EXPECT_THAT(scores->decisions, ElementsAre(ElementsAre(2), ElementsAre(1), ElementsAre(0), ElementsAre(2)));
}

TEST_F(TokensTaskTest, WordsWithoutAnAnswerAreCountedAndWrong) {
  const auto task = Make("The O\nfox B-X\nruns O\n");
  ASSERT_TRUE((*task)->FitLabels({"O", "B-X"}).ok());
  const auto scores = (*task)->Score(Rows({1, 0, 0, 1, kNone, kNone}, 2));
  ASSERT_TRUE(scores.ok()) << scores.status();
  EXPECT_EQ(scores->num_clipped_words, 1u);
  EXPECT_NEAR(scores->metrics[0].value, 1, 1e-12);
  EXPECT_NEAR(scores->metrics[3].value, 2.0 / 3, 1e-12);
  EXPECT_THAT(scores->decisions, ElementsAre(ElementsAre(0), ElementsAre(1), IsEmpty()));
}

TEST_F(TokensTaskTest, LabelsThatMarkNoEntitiesAreScoredByAccuracy) {
  const auto task = Make("The DET\nfox NOUN\n");
  EXPECT_EQ((*task)->description().main_metric, "accuracy");
  ASSERT_TRUE((*task)->FitLabels({"NOUN", "DET"}).ok());
  const auto scores = (*task)->Score(Rows({0, 1, 0, 1}, 2));
  ASSERT_TRUE(scores.ok()) << scores.status();
  ASSERT_EQ(scores->metrics.size(), 1u);
  EXPECT_EQ(scores->metrics[0].value, 0.5);
  EXPECT_EQ((*Make("The O\nfox O\n"))->description().main_metric, "accuracy");  // no entity to find
}

// A model of IOB1 labels begins entities with "I-"; the data's "B-X" is then a label that it never gives.
TEST_F(TokensTaskTest, TypesMayBeKnownByAnotherLabel) {
  const auto task = Make("The O\nfox B-X\n");
  ASSERT_TRUE((*task)->FitLabels({"O", "I-X"}).ok());
  const auto scores = (*task)->Score(Rows({1, 0, 0, 1}, 2));
  EXPECT_NEAR(scores->metrics[0].value, 1, 1e-12);
  EXPECT_NEAR(scores->metrics[3].value, 0.5, 1e-12);
}

TEST_F(TokensTaskTest, LabelsThatTheModelLacksAreRefused) {
  const auto task = Make("The O\n\nfox B-X\n");
  EXPECT_EQ((*task)->FitLabels({"O", "B-Y"}),
            absl::InvalidArgumentError(folder_ + "/data.conll:3: label \"B-X\": not one of the model's, which are "
                                                 "\"O\", \"B-Y\""));
  EXPECT_THAT((*task)->FitLabels({"B-X", "I-X"}).message(), HasSubstr("data.conll:1: label \"O\": not one of"));
  ASSERT_TRUE((*task)->FitLabels({"O", "B-X"}).ok());
  EXPECT_TRUE((*task)->FitLabels({"O", "B-X"}).ok());
  EXPECT_EQ((*task)->FitLabels({"B-X", "O"}),
            absl::InvalidArgumentError("id2label: got \"B-X\", \"O\", but a variant before it has \"O\", \"B-X\"; want "
                                       "the same labels in the same order"));
}

TEST_F(TokensTaskTest, RefusesFlagsThatItDoesNotRead) {
  options_.columns = {"1", "2"};
  EXPECT_THAT(Make("a O\n").status().message(), HasSubstr("--columns: not for --task tokens"));
  options_ = {};
  options_.where = "a=b";
  EXPECT_THAT(Make("a O\n").status().message(), HasSubstr("--where: not for --task tokens"));
  options_ = {};
  options_.dev = "dev";
  EXPECT_THAT(Make("a O\n").status().message(), HasSubstr("--dev: only for --task classification"));
  options_ = {};
  options_.labels = Write("labels.txt", "O\nB-X\n");
  const auto task = Make("a 0\nb 1\n");
  ASSERT_TRUE(task.ok()) << task.status();
  EXPECT_EQ((*task)->description().files.size(), 2u);
  EXPECT_TRUE((*task)->FitLabels({"B-X", "O"}).ok());
}

}  // namespace
}  // namespace octet::cli
