// The tasks of `octet evaluate` with answers made by hand: what they score, and what they refuse to read.
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include "base/cosine.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/cli/evaluate/correlation.h"
#include "server/cli/evaluate/load_variant.h"
#include "server/cli/evaluate/task.h"
#include "server/cli/evaluate/top_documents.h"

namespace octet::cli {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class TasksTest : public testing::Test {
 protected:
  TasksTest() { fs::create_directories(folder_ + "/qrels"); }
  ~TasksTest() override { fs::remove_all(folder_); }

  std::string Write(const std::string& name, const std::string& content) {
    std::ofstream(folder_ + "/" + name, std::ios::binary) << content;
    return folder_ + "/" + name;
  }
  void WriteRetrieval() {
    Write("queries.jsonl",
          "{\"_id\": \"q1\", \"text\": \"one\"}\n{\"_id\": \"q2\", \"text\": \"two\"}\n"
          "{\"_id\": \"d2\", \"text\": \"three\"}\n");
    Write("corpus.jsonl",
          "{\"_id\": \"d1\", \"title\": \"head\", \"text\": \"body\"}\n"
          "{\"_id\": \"d2\", \"title\": \"\", \"text\": \"plain\"}\n{\"_id\": 3, \"text\": \"last\"}\n");
    Write("qrels/test.tsv", "query-id\tcorpus-id\tscore\nq1\td1\t2\nq1\t3\t1\nq2\td2\t0\nd2\t3\t1\nd2\td2\t1\n");
  }
  absl::StatusOr<std::unique_ptr<Task>> Make(const std::string& task, const std::string& data) {
    TaskOptions options = options_;
    options.task = task;
    options.data = data;
    options.bootstrap.num_resamples = 200;
    return MakeTask(options);
  }
  std::string ErrorOf(const std::string& task, const std::string& data) {
    const auto made = Make(task, data);
    EXPECT_FALSE(made.ok());
    return std::string(made.status().message());
  }

  const std::string folder_ = testing::TempDir() + "/evaluate_tasks_" + std::to_string(getpid());
  TaskOptions options_;
};

MatrixView<const float> Rows(const std::vector<float>& values, size_t width) {
  return {values.data(), values.size() / width, width};
}

TEST_F(TasksTest, SimilarityCorrelatesCosinesWithGold) {
  const auto task = Make("similarity", Write("pairs.tsv", "a\tb\t3\nc\td\t1\ne\tf\t2\n"));
  ASSERT_TRUE(task.ok()) << task.status();
  EXPECT_EQ((*task)->description().num_examples, 3u);
  ASSERT_EQ((*task)->texts().size(), 6u);
  EXPECT_EQ((*task)->texts()[3].text, "d");
  EXPECT_EQ((*task)->texts()[3].origin, folder_ + "/pairs.tsv:2");
  // Cosines 1, 0 and 0.6, whatever the lengths of the vectors.
  const auto scores = (*task)->Score(Rows({1, 0, 2, 0, 0, 1, 3, 0, 1, 0, 0.6f, 0.8f}, 2));
  ASSERT_TRUE(scores.ok()) << scores.status();
  EXPECT_EQ(scores->metrics[0].name, "spearman");
  EXPECT_NEAR(scores->metrics[0].value, 1, 1e-12);
  const std::vector<double> gold = {3, 1, 2}, cosines = {1, 0, 0.6f};
  EXPECT_EQ(scores->metrics[1].name, "pearson");
  EXPECT_NEAR(scores->metrics[1].value, Pearson(gold, cosines), 1e-7);
  EXPECT_EQ(scores->replicates.size(), 200u);
  EXPECT_TRUE(scores->decisions.empty());
  EXPECT_THAT((*task)->Score(Rows(std::vector<float>(12, 1), 2)).status().message(),
              HasSubstr("spearman: not defined"));
}

TEST_F(TasksTest, SimilarityRefusesScoresThatAreNoNumbers) {
  for (const char* score : {"high", "nan", "inf", "-inf", "1e999", "", "0x"}) {
    const std::string error = ErrorOf("similarity", Write("pairs.tsv", std::string("a\tb\t1\na\tb\t") + score + "\n"));
    EXPECT_EQ(error, folder_ + "/pairs.tsv:2: score \"" + score + "\": not a finite number");
  }
  EXPECT_THAT(ErrorOf("similarity", Write("pairs.tsv", "a\tb\t1\na\tb\t1\n")),
              HasSubstr("2 pairs, all with one score"));
  EXPECT_THAT(ErrorOf("similarity", folder_ + "/absent"), HasSubstr("cannot read "));
}

TEST_F(TasksTest, ClassificationWithOneLabelEachTakesTheLargestLogit) {
  const auto task = Make("classification", Write("texts.tsv", "a\t0\nb\t1\nc\t1\n"));
  ASSERT_TRUE(task.ok()) << task.status();
  const auto scores = (*task)->Score(Rows({2, 1, 3, 4, 5, 0}, 2));
  ASSERT_TRUE(scores.ok()) << scores.status();
  EXPECT_EQ(scores->metrics[0].name, "accuracy");
  EXPECT_NEAR(scores->metrics[0].value, 2.0 / 3, 1e-12);
  EXPECT_THAT(scores->decisions, ElementsAre(ElementsAre(0), ElementsAre(1), ElementsAre(0)));
  EXPECT_TRUE((*task)->settings().empty());
  EXPECT_THAT((*task)->Score(Rows({2, 1, 3}, 1)).status().message(),
              HasSubstr("texts.tsv:2: label 1, but the model has 1 labels"));
}

TEST_F(TasksTest, ClassificationWithSeveralLabelsTakesItsThresholdFromDev) {
  options_.labels = Write("labels.txt", "joy\nanger\n");
  options_.dev = Write("dev.tsv", "a\tjoy\nb\tanger\n");
  const auto task = Make("classification", Write("texts.tsv", "a\tjoy,anger\nb\t\n"));
  ASSERT_TRUE(task.ok()) << task.status();
  EXPECT_EQ((*task)->description().files.size(), 3u);
  ASSERT_EQ((*task)->dev_texts().size(), 2u);
  ASSERT_TRUE((*task)->Calibrate(Rows({1, 0.5f, 0.5f, 1}, 2)).ok());  // true 0.731, false 0.622
  ASSERT_EQ((*task)->settings().size(), 1u);
  EXPECT_NEAR((*task)->settings()[0].value, 0.63, 1e-12);
  const auto scores = (*task)->Score(Rows({0.6f, 0.6f, 0.5f, 0.5f}, 2));  // 0.646 and 0.622
  ASSERT_TRUE(scores.ok()) << scores.status();
  EXPECT_EQ(scores->metrics[0].name, "micro_f1");
  EXPECT_NEAR(scores->metrics[0].value, 1, 1e-12);
  EXPECT_THAT((*task)->Score(Rows({0, 0, 0, 0, 0, 0}, 3)).status().message(),
              HasSubstr("2 names, but the model has 3"));
}

TEST_F(TasksTest, ClassificationRefusesUnknownLabelsAndAnIdleDevFile) {
  options_.labels = Write("labels.txt", "joy\nanger\n");
  EXPECT_THAT(ErrorOf("classification", Write("texts.tsv", "a\tjoy\nb\tfear\n")),
              HasSubstr("texts.tsv:2: label \"fear\": unknown; want one of the 2 names"));
  options_.dev = Write("dev.tsv", "a\tjoy\n");
  EXPECT_THAT(ErrorOf("classification", Write("texts.tsv", "a\tjoy\nb\tanger\n")),
              HasSubstr("--dev: gives a threshold"));
}

TEST_F(TasksTest, RetrievalRanksTheCorpusForJudgedQueries) {
  WriteRetrieval();
  const auto task = Make("retrieval", folder_);
  ASSERT_TRUE(task.ok()) << task.status();
  // q2 has no relevant document; titles go before texts.
  EXPECT_EQ((*task)->description().num_examples, 2u);
  ASSERT_EQ((*task)->texts().size(), 5u);
  EXPECT_EQ((*task)->texts()[2].text, "head body");
  EXPECT_EQ((*task)->texts()[3].text, "plain");
  // q1 is nearest to d2, then 3, then d1: gains 0 1 2. d2 is nearest to itself, which is not ranked, then to 3.
  const auto scores = (*task)->Score(Rows({1, 0.2f, 1, 0, 0.8f, 0.6f, 1, 0.1f, 0.6f, 0.3f}, 2));
  ASSERT_TRUE(scores.ok()) << scores.status();
  EXPECT_EQ(scores->metrics[0].name, "ndcg_at_10");
  EXPECT_THAT(scores->decisions, ElementsAre(ElementsAre(1), ElementsAre(2)));
  const double first = (1 / std::log2(3) + 2 / std::log2(4)) / (2 + 1 / std::log2(3));
  EXPECT_NEAR(scores->metrics[0].value, (first + 1) / 2, 1e-12);
  EXPECT_NEAR(scores->metrics[1].value, 1, 1e-12);
  EXPECT_NEAR(scores->metrics[2].value, (0.5 + 1) / 2, 1e-12);
  options_.limit = 1;
  EXPECT_EQ((*Make("retrieval", folder_))->description().num_examples, 1u);
}

TEST_F(TasksTest, RetrievalNamesWhatDoesNotFit) {
  WriteRetrieval();
  Write("qrels/test.tsv", "query-id\tcorpus-id\tscore\nq1\td9\t1\n");
  EXPECT_THAT(ErrorOf("retrieval", folder_), HasSubstr("qrels/test.tsv:2: id \"d9\": not in corpus.jsonl"));
  Write("qrels/test.tsv", "query-id\tcorpus-id\tscore\nq9\td1\t1\n");
  EXPECT_THAT(ErrorOf("retrieval", folder_), HasSubstr("qrels/test.tsv:2: id \"q9\": not in queries.jsonl"));
  Write("qrels/test.tsv", "query-id\tcorpus-id\tscore\nq1\td1\t1\nq1\td1\t1\n");
  EXPECT_THAT(ErrorOf("retrieval", folder_), HasSubstr("qrels/test.tsv:3: this query and document are judged already"));
  Write("qrels/test.tsv", "query-id\tcorpus-id\tscore\nq1\td1\tyes\n");
  EXPECT_THAT(ErrorOf("retrieval", folder_), HasSubstr("qrels/test.tsv:2: score \"yes\""));
  Write("qrels/test.tsv", "query-id\tcorpus-id\tscore\nq1\td1\t0\n");
  EXPECT_THAT(ErrorOf("retrieval", folder_), HasSubstr("no query has a relevant document"));
  Write("corpus.jsonl", "{\"_id\": \"d1\", \"text\": \"a\"}\n{\"_id\": \"d1\", \"text\": \"b\"}\n");
  EXPECT_THAT(ErrorOf("retrieval", folder_), HasSubstr("corpus.jsonl:2: _id \"d1\": there already"));
}

TEST_F(TasksTest, RefusesTasksAndFlagsThatDoNotFit) {
  const std::string pairs = Write("pairs.tsv", "a\tb\t1\na\tb\t2\n");
  EXPECT_THAT(ErrorOf("ranking", pairs),
              HasSubstr("\"ranking\": want similarity, classification, retrieval, tokens or closeness"));
  options_.labels = pairs;
  EXPECT_EQ(ErrorOf("similarity", pairs), "--labels: only for --task classification and tokens");
  options_ = {};
  options_.split = "dev";
  EXPECT_EQ(ErrorOf("similarity", pairs), "--split: only for --task retrieval");
  options_ = {};
  options_.where = "a=b";
  EXPECT_THAT(ErrorOf("retrieval", folder_), HasSubstr("--where: not for --task retrieval"));
}

TEST_F(TasksTest, VariantNamesAreCheckedBeforeAnythingIsLoaded) {
  EXPECT_TRUE(CheckVariantNames({"f32", "dynamic", folder_}).ok());
  EXPECT_THAT(CheckVariantNames({"f32", "dynamc"}).message(), HasSubstr("smooth, static, mixed or the directory of a "
                                                                        "model; nearest is dynamic"));
  EXPECT_THAT(CheckVariantNames({folder_, folder_ + "/"}).message(), HasSubstr("two are called"));
  EXPECT_EQ(VariantLabel("f32"), "f32");
  EXPECT_EQ(VariantLabel("/some/where/smooth/"), "smooth");
}

TEST(TopDocumentsTest, EqualsSortingAllCosines) {
  std::mt19937 random(3);
  std::uniform_int_distribution<int> value(-3, 3);  // small integers: many ties, and exact sums
  constexpr size_t kQueries = 7, kDocuments = 60, kDim = 19;
  std::vector<float> queries(kQueries * kDim), documents(kDocuments * kDim);
  for (float& x : queries) x = static_cast<float>(value(random));
  for (float& x : documents) x = static_cast<float>(value(random));
  std::fill_n(documents.begin(), kDim, 0.0f);                                     // a zero vector
  std::copy_n(documents.begin() + 5 * kDim, kDim, documents.begin() + 6 * kDim);  // the same vector twice
  std::vector<std::optional<uint32_t>> excluded(kQueries);
  excluded[2] = 5;
  const MatrixView<const float> q(queries.data(), kQueries, kDim), d(documents.data(), kDocuments, kDim);
  const auto top = FindTopDocuments(q, d, excluded, {.k = kDocuments, .num_threads = 1});
  ASSERT_EQ(top.size(), kQueries);
  for (size_t i = 0; i < kQueries; ++i) {
    ASSERT_EQ(top[i].size(), kDocuments - (i == 2));
    for (size_t rank = 1; rank < top[i].size(); ++rank) {
      const double before = Cosine(q.Row(i), d.Row(top[i][rank - 1])), here = Cosine(q.Row(i), d.Row(top[i][rank]));
      EXPECT_GE(before, here - 1e-6) << i << " " << rank;
    }
    const auto five = std::find(top[i].begin(), top[i].end(), 5u);
    if (i == 2) {
      EXPECT_EQ(five, top[i].end());
    } else {
      EXPECT_EQ(*(five + 1), 6u);  // of equals the smaller index first
    }
    EXPECT_EQ(FindTopDocuments(q, d, excluded, {.k = 4, .num_threads = 3})[i],
              std::vector<uint32_t>(top[i].begin(), top[i].begin() + 4));
  }
}

}  // namespace
}  // namespace octet::cli
