// Retrieval: queries, a corpus and judgements, as a folder in the layout of BEIR (Thakur et al. 2021): queries.jsonl
// and corpus.jsonl with "_id", "text" and perhaps "title" (put before the text), qrels/<split>.tsv with query-id,
// corpus-id and score. Every document is ranked for every judged query by cosine; nDCG@10 is the main metric. As in
// BEIR, a document with the query's own id is not ranked for it.
#ifndef OCTET_SERVER_CLI_EVALUATE_RETRIEVAL_TASK_H_
#define OCTET_SERVER_CLI_EVALUATE_RETRIEVAL_TASK_H_

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "server/cli/evaluate/task.h"

namespace octet::cli {

class RetrievalTask final : public Task {
 public:
  // Queries without a relevant document (a judgement above 0) are left out; --limit counts those that stay.
  static absl::StatusOr<std::unique_ptr<RetrievalTask>> Load(const TaskOptions& options);

  const TaskDescription& description() const override { return description_; }
  const std::vector<TaskText>& texts() const override { return texts_; }
  absl::StatusOr<Scores> Score(MatrixView<const float> answers) const override;

 private:
  struct Query {
    absl::flat_hash_map<uint32_t, double> gains;  // of the relevant documents
    std::vector<double> judged;                   // the same gains
  };
  // Texts of a JSON lines file and where each id stands.
  struct Collection {
    std::vector<TaskText> texts;
    std::vector<std::string> ids;
    absl::flat_hash_map<std::string, uint32_t> index_by_id;
  };
  RetrievalTask() = default;
  static absl::StatusOr<Collection> ReadCollection(const std::string& path,
                                                   const std::optional<std::string>& prompt_name,
                                                   std::vector<FileDigest>* files);
  static absl::StatusOr<std::vector<Query>> ReadJudgements(const std::string& path, const Collection& queries,
                                                           const Collection& corpus, std::vector<FileDigest>* files);

  TaskDescription description_;
  BootstrapOptions bootstrap_;
  int num_threads_ = 1;
  std::vector<TaskText> texts_;  // queries, then documents
  std::vector<Query> queries_;
  std::vector<std::optional<uint32_t>> excluded_;  // the document with the query's id
};

}  // namespace octet::cli

#endif  // OCTET_SERVER_CLI_EVALUATE_RETRIEVAL_TASK_H_
