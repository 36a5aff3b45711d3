// Token classification: sentences whose words are labelled. The model answers a row of logits for each word, that of its
// first token; the largest decides. Where the data's labels are entity labels ("B-PER"; token_metrics.h) the main metric
// is micro F1 of entities, otherwise (parts of speech) accuracy of words. A word without an answer is wrong and no entity.
#ifndef OCTET_SERVER_CLI_EVALUATE_TOKENS_TASK_H_
#define OCTET_SERVER_CLI_EVALUATE_TOKENS_TASK_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "server/cli/evaluate/task.h"
#include "server/cli/evaluate/token_data.h"
#include "server/cli/evaluate/token_metrics.h"

namespace octet::cli {

class TokensTask final : public Task {
 public:
  // `data`: as ReadTokenData; `labels`, if given, has the names that indices in it stand for.
  static absl::StatusOr<std::unique_ptr<TokensTask>> Load(const TaskOptions& options);

  const TaskDescription& description() const override { return description_; }
  const std::vector<TaskText>& texts() const override { return texts_; }
  model::Task model_task() const override { return model::Task::kTokenClassification; }

  // A label of the data that the model lacks is refused, unless the model has another one of the same entity type: a
  // model may know "I-PER" alone. Labels must be those of the first call: logits and flips are compared by index.
  absl::Status FitLabels(const std::vector<std::string>& labels) override;
  absl::StatusOr<Scores> Score(MatrixView<const float> answers) const override;

 private:
  TokensTask() = default;
  void AddSentence(const LabelledSentence& sentence);

  TaskDescription description_;
  BootstrapOptions bootstrap_;
  std::string path_;
  std::vector<TaskText> texts_;
  bool has_entities_ = false;

  // The data's labels, in the order in which they first occur.
  std::vector<std::string> data_labels_;
  std::vector<uint64_t> data_label_lines_;  // of the first word that has it
  absl::flat_hash_map<std::string, uint32_t> data_label_idx_;
  std::vector<uint32_t> truth_;  // of all words end to end: indices into data_labels_

  // Once labels are fitted: the model's, then those that only the data have.
  std::vector<std::string> model_labels_;
  std::vector<EntityTag> tags_;
  std::vector<uint32_t> fitted_idx_;  // of data_labels_
};

}  // namespace octet::cli

#endif  // OCTET_SERVER_CLI_EVALUATE_TOKENS_TASK_H_
