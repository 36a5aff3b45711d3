// Semantic similarity: pairs of texts with a gold score, such as STS-B. The model's score of a pair is the cosine of
// its vectors; the metrics are their Spearman (the main one) and Pearson correlation with the gold scores.
#ifndef OCTET_SERVER_CLI_EVALUATE_SIMILARITY_TASK_H_
#define OCTET_SERVER_CLI_EVALUATE_SIMILARITY_TASK_H_

#include <memory>
#include <vector>

#include "server/cli/evaluate/task.h"

namespace octet::cli {

class SimilarityTask final : public Task {
 public:
  // Columns: sentence1 (or text1), sentence2 (or text2), score; a file without a header has these three alone.
  static absl::StatusOr<std::unique_ptr<SimilarityTask>> Load(const TaskOptions& options);

  const TaskDescription& description() const override { return description_; }
  const std::vector<TaskText>& texts() const override { return texts_; }
  absl::StatusOr<Scores> Score(MatrixView<const float> answers) const override;

 private:
  SimilarityTask() = default;

  TaskDescription description_;
  BootstrapOptions bootstrap_;
  std::vector<TaskText> texts_;  // pair i: [2 i] and [2 i + 1]
  std::vector<double> gold_;
};

}  // namespace octet::cli

#endif  // OCTET_SERVER_CLI_EVALUATE_SIMILARITY_TASK_H_
