// Classification: texts with one label each, or with any number of them. The model answers a row of logits. One label a
// text: the largest logit decides, the main metric is accuracy. Otherwise every label whose probability reaches the
// threshold is given, and the main metric is micro F1; the threshold is 0.5, or the baseline's best on --dev.
#ifndef OCTET_SERVER_CLI_EVALUATE_CLASSIFICATION_TASK_H_
#define OCTET_SERVER_CLI_EVALUATE_CLASSIFICATION_TASK_H_

#include <memory>
#include <vector>

#include "server/cli/evaluate/classification_metrics.h"
#include "server/cli/evaluate/label_reader.h"
#include "server/cli/evaluate/task.h"

namespace octet::cli {

class ClassificationTask final : public Task {
 public:
  // Columns: text (or sentence), label (or labels); a file without a header has these two first.
  static absl::StatusOr<std::unique_ptr<ClassificationTask>> Load(const TaskOptions& options);

  const TaskDescription& description() const override { return description_; }
  const std::vector<TaskText>& texts() const override { return data_.texts; }
  const std::vector<TaskText>& dev_texts() const override { return dev_.texts; }
  model::Task model_task() const override { return model::Task::kClassification; }
  absl::Status Calibrate(MatrixView<const float> dev_answers) override;
  absl::StatusOr<Scores> Score(MatrixView<const float> answers) const override;
  std::vector<Metric> settings() const override;

 private:
  struct Data {
    std::vector<TaskText> texts;
    std::vector<LabelSet> truth;
  };
  ClassificationTask() = default;
  static absl::StatusOr<Data> ReadData(const std::string& path, const LabelIndices& names, const TaskOptions& options,
                                       std::vector<FileDigest>* files);
  // That every true label has a logit, and every name too.
  absl::Status CheckWidth(const Data& data, size_t width) const;

  TaskDescription description_;
  BootstrapOptions bootstrap_;
  size_t num_names_ = 0;  // 0: no --labels
  Data data_, dev_;
  bool has_several_ = false;  // any number of labels a text
  double threshold_ = 0.5;
};

}  // namespace octet::cli

#endif  // OCTET_SERVER_CLI_EVALUATE_CLASSIFICATION_TASK_H_
