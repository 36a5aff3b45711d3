#include "server/cli/evaluate/retrieval_task.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "model/quote.h"
#include "server/cli/evaluate/ranking_metrics.h"
#include "server/cli/evaluate/table_reader.h"
#include "server/cli/evaluate/top_documents.h"

namespace octet::cli {
namespace {

constexpr size_t kRanks = 10;

double Mean(std::span<const double> values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

// The entry of `index_by_id`, or an error naming the file that lacks it.
absl::StatusOr<uint32_t> FindId(const absl::flat_hash_map<std::string, uint32_t>& index_by_id, const std::string& id,
                                absl::string_view file_name) {
  const auto it = index_by_id.find(id);
  if (it != index_by_id.end()) return it->second;
  return absl::InvalidArgumentError(absl::StrCat("id ", model::Quote(id), ": not in ", file_name));
}

}  // namespace

absl::StatusOr<RetrievalTask::Collection> RetrievalTask::ReadCollection(const std::string& path,
                                                                        const std::optional<std::string>& prompt_name,
                                                                        std::vector<FileDigest>* files) {
  ASSIGN_OR_RETURN(const DataFile file, ReadDataFile(path));
  ASSIGN_OR_RETURN(
      std::vector<Record> records,
      ReadTable(file, {.wanted = {{.names = {"_id"}}, {.names = {"text"}}, {.names = {"title"}, .optional = true}},
                       .columns = {},
                       .headless_fields = 3,
                       .where = "",
                       .limit = 0}));
  Collection collection;
  for (Record& record : records) {
    const auto index = static_cast<uint32_t>(collection.ids.size());
    std::string& id = record.fields[0];
    if (!collection.index_by_id.emplace(id, index).second) {
      return LineError(file.path, record.line, absl::StrCat("_id ", model::Quote(id), ": there already"));
    }
    collection.ids.push_back(std::move(id));
    const std::string& title = record.fields[2];
    collection.texts.push_back(
        {.text = title.empty() ? std::move(record.fields[1]) : absl::StrCat(title, " ", record.fields[1]),
         .prompt_name = prompt_name,
         .origin = absl::StrCat(file.path, ":", record.line)});
  }
  files->push_back(file.digest);
  return collection;
}

absl::StatusOr<std::vector<RetrievalTask::Query>> RetrievalTask::ReadJudgements(const std::string& path,
                                                                                const Collection& queries,
                                                                                const Collection& corpus,
                                                                                std::vector<FileDigest>* files) {
  ASSIGN_OR_RETURN(const DataFile file, ReadDataFile(path));
  ASSIGN_OR_RETURN(const std::vector<Record> records,
                   ReadTable(file, {.wanted = {{.names = {"query-id"}}, {.names = {"corpus-id"}}, {.names = {"score"}}},
                                    .columns = {},
                                    .headless_fields = 3,
                                    .where = "",
                                    .limit = 0}));
  std::vector<Query> judgements(queries.ids.size());
  for (const Record& record : records) {
    const auto query = FindId(queries.index_by_id, record.fields[0], "queries.jsonl");
    if (!query.ok()) return LineError(file.path, record.line, query.status().message());
    const auto document = FindId(corpus.index_by_id, record.fields[1], "corpus.jsonl");
    if (!document.ok()) return LineError(file.path, record.line, document.status().message());
    double gain;
    if (!absl::SimpleAtod(record.fields[2], &gain) || !std::isfinite(gain)) {
      return LineError(file.path, record.line,
                       absl::StrCat("score ", model::Quote(record.fields[2]), ": not a finite number"));
    }
    // Judged and not relevant counts as not judged; the document of the same id is not ranked.
    if (gain <= 0 || record.fields[0] == record.fields[1]) continue;
    if (!judgements[*query].gains.emplace(*document, gain).second) {
      return LineError(file.path, record.line, "this query and document are judged already");
    }
    judgements[*query].judged.push_back(gain);
  }
  files->push_back(file.digest);
  return judgements;
}

absl::StatusOr<std::unique_ptr<RetrievalTask>> RetrievalTask::Load(const TaskOptions& options) {
  auto task = std::unique_ptr<RetrievalTask>(new RetrievalTask());
  task->bootstrap_ = options.bootstrap;
  task->num_threads_ = options.num_threads;
  std::vector<FileDigest> files;
  const std::string qrels = absl::StrCat(options.data, "/qrels/", options.split, ".tsv");
  ASSIGN_OR_RETURN(Collection queries,
                   ReadCollection(absl::StrCat(options.data, "/queries.jsonl"), options.query_prompt, &files));
  ASSIGN_OR_RETURN(Collection corpus,
                   ReadCollection(absl::StrCat(options.data, "/corpus.jsonl"), options.document_prompt, &files));
  ASSIGN_OR_RETURN(std::vector<Query> judgements, ReadJudgements(qrels, queries, corpus, &files));
  for (size_t i = 0; i < judgements.size(); ++i) {
    if (judgements[i].judged.empty()) continue;
    if (options.limit != 0 && task->queries_.size() == options.limit) break;
    task->queries_.push_back(std::move(judgements[i]));
    task->texts_.push_back(std::move(queries.texts[i]));
    const auto same = corpus.index_by_id.find(queries.ids[i]);
    task->excluded_.push_back(same == corpus.index_by_id.end() ? std::nullopt : std::optional<uint32_t>(same->second));
  }
  if (task->queries_.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(qrels, ": no query has a relevant document (a score above 0)"));
  }
  std::move(corpus.texts.begin(), corpus.texts.end(), std::back_inserter(task->texts_));
  task->description_ = {.name = "retrieval",
                        .example_noun = "queries",
                        .num_examples = task->queries_.size(),
                        .main_metric = "ndcg_at_10",
                        .flip_noun = "queries whose first document is another than with f32",
                        .files = std::move(files)};
  return task;
}

absl::StatusOr<Scores> RetrievalTask::Score(MatrixView<const float> answers) const {
  const size_t num_queries = queries_.size();
  std::vector<std::vector<uint32_t>> top =
      FindTopDocuments(answers.Rows(0, num_queries), answers.Rows(num_queries, answers.rows() - num_queries), excluded_,
                       {.k = kRanks, .num_threads = num_threads_});
  std::vector<double> ndcg, recall, reciprocal_rank;
  Scores scores;
  for (size_t i = 0; i < num_queries; ++i) {
    const Query& query = queries_[i];
    std::vector<double> gains;
    for (const uint32_t document : top[i]) {
      const auto it = query.gains.find(document);
      gains.push_back(it == query.gains.end() ? 0 : it->second);
    }
    ndcg.push_back(NdcgAt(kRanks, gains, query.judged));
    recall.push_back(RecallAt(kRanks, gains, query.judged));
    reciprocal_rank.push_back(ReciprocalRankAt(kRanks, gains));
    top[i].resize(std::min<size_t>(top[i].size(), 1));
  }
  scores.decisions = std::move(top);
  scores.metrics = {{"ndcg_at_10", Mean(ndcg)}, {"recall_at_10", Mean(recall)}, {"mrr_at_10", Mean(reciprocal_rank)}};
  scores.replicates = BootstrapReplicates(num_queries, bootstrap_, [&](std::span<const uint32_t> sample) {
    double sum = 0;
    for (const uint32_t i : sample) sum += ndcg[i];
    return sum / static_cast<double>(sample.size());
  });
  return scores;
}

}  // namespace octet::cli
