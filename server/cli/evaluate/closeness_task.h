// Texts without labels: how close a variant's answers are to f32's. Shows small damage before any metric does, and is
// all that can be known without labels.
#ifndef OCTET_SERVER_CLI_EVALUATE_CLOSENESS_TASK_H_
#define OCTET_SERVER_CLI_EVALUATE_CLOSENESS_TASK_H_

#include <memory>
#include <vector>

#include "server/cli/evaluate/task.h"

namespace octet::cli {

class ClosenessTask final : public Task {
 public:
  // A file of texts, one a line, or of JSON objects with "text", told by its first character. InvalidArgument for a
  // file without texts or a bad line.
  static absl::StatusOr<std::unique_ptr<ClosenessTask>> Load(const TaskOptions& options);

  const TaskDescription& description() const override { return description_; }
  const std::vector<TaskText>& texts() const override { return texts_; }
  // f32's answers, to compare with.
  const std::vector<TaskText>& dev_texts() const override { return texts_; }
  absl::Status Calibrate(MatrixView<const float> dev_answers) override;
  // Any model with one answer a text: embeddings and logits have cosines alike.
  absl::Status CheckModel(const model::TextModel& model) override;
  absl::StatusOr<Scores> Score(MatrixView<const float> answers) const override;

 private:
  ClosenessTask() = default;

  TaskDescription description_;
  BootstrapOptions bootstrap_;
  std::vector<TaskText> texts_;
  std::vector<float> baseline_;  // [texts_.size(), width_]
  size_t width_ = 0;
};

}  // namespace octet::cli

#endif  // OCTET_SERVER_CLI_EVALUATE_CLOSENESS_TASK_H_
