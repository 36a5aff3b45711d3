#include "server/cli/evaluate/classification_task.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "server/cli/evaluate/table_reader.h"

namespace octet::cli {
namespace {

bool HasSeveral(const std::vector<LabelSet>& truth) {
  return std::any_of(truth.begin(), truth.end(), [](const LabelSet& labels) { return labels.size() != 1; });
}

}  // namespace

absl::StatusOr<ClassificationTask::Data> ClassificationTask::ReadData(const std::string& path,
                                                                      const LabelIndices& names,
                                                                      const TaskOptions& options,
                                                                      std::vector<FileDigest>* files) {
  ASSIGN_OR_RETURN(const DataFile file, ReadDataFile(path));
  ASSIGN_OR_RETURN(std::vector<Record> records,
                   ReadTable(file, {.wanted = {{.names = {"text", "sentence"}}, {.names = {"label", "labels"}}},
                                    .columns = options.columns,
                                    .headless_fields = 0,
                                    .where = options.where,
                                    .limit = options.limit}));
  Data data;
  for (Record& record : records) {
    absl::StatusOr<LabelSet> labels = ParseLabels(record.fields[1], names);
    if (!labels.ok()) return LineError(file.path, record.line, labels.status().message());
    data.truth.push_back(*std::move(labels));
    data.texts.push_back(
        {.text = std::move(record.fields[0]), .prompt_name = {}, .origin = absl::StrCat(file.path, ":", record.line)});
  }
  files->push_back(file.digest);
  return data;
}

absl::StatusOr<std::unique_ptr<ClassificationTask>> ClassificationTask::Load(const TaskOptions& options) {
  auto task = std::unique_ptr<ClassificationTask>(new ClassificationTask());
  task->bootstrap_ = options.bootstrap;
  std::vector<FileDigest> files;
  ASSIGN_OR_RETURN(const LabelIndices names, LoadLabelNames(options.labels, &files));
  task->num_names_ = names.size();
  ASSIGN_OR_RETURN(task->data_, ReadData(options.data, names, options, &files));
  task->has_several_ = HasSeveral(task->data_.truth);
  if (!options.dev.empty()) {
    ASSIGN_OR_RETURN(task->dev_, ReadData(options.dev, names, options, &files));
    task->has_several_ = task->has_several_ || HasSeveral(task->dev_.truth);
    if (!task->has_several_) {
      return absl::InvalidArgumentError(
          "--dev: gives a threshold, and with one label a text there is none; leave it out");
    }
  }
  task->description_ = {.name = "classification",
                        .example_noun = "texts",
                        .num_examples = task->data_.texts.size(),
                        .main_metric = task->has_several_ ? "micro_f1" : "accuracy",
                        .flip_noun = "texts with other labels than with f32",
                        .files = std::move(files)};
  return task;
}

absl::Status ClassificationTask::CheckWidth(const Data& data, size_t width) const {
  if (num_names_ != 0 && num_names_ != width) {
    return absl::InvalidArgumentError(
        absl::StrCat("--labels: ", num_names_, " names, but the model has ", width, " labels"));
  }
  for (size_t i = 0; i < data.truth.size(); ++i) {
    if (!data.truth[i].empty() && data.truth[i].back() >= width) {
      return absl::InvalidArgumentError(absl::StrCat(data.texts[i].origin, ": label ", data.truth[i].back(),
                                                     ", but the model has ", width, " labels, counted from 0"));
    }
  }
  return absl::OkStatus();
}

absl::Status ClassificationTask::Calibrate(MatrixView<const float> dev_answers) {
  RETURN_IF_ERROR(CheckWidth(dev_, dev_answers.cols()));
  threshold_ = BestThreshold(dev_answers, dev_.truth);
  return absl::OkStatus();
}

absl::StatusOr<Scores> ClassificationTask::Score(MatrixView<const float> answers) const {
  RETURN_IF_ERROR(CheckWidth(data_, answers.cols()));
  const auto num_labels = static_cast<uint32_t>(answers.cols());
  Scores scores;
  scores.decisions = has_several_ ? LabelsAbove(answers, threshold_) : LargestLabels(answers);
  const auto score = [&](std::span<const uint32_t> sample) {
    return ScoreLabels(data_.truth, scores.decisions, num_labels, sample);
  };
  std::vector<uint32_t> all(data_.truth.size());
  std::iota(all.begin(), all.end(), 0u);
  const LabelScores labels = score(all);
  scores.metrics = {{"accuracy", labels.accuracy}, {"micro_f1", labels.micro_f1}, {"macro_f1", labels.macro_f1}};
  if (has_several_) std::swap(scores.metrics[0], scores.metrics[1]);
  scores.replicates = BootstrapReplicates(all.size(), bootstrap_, [&](std::span<const uint32_t> sample) {
    const LabelScores s = score(sample);
    return has_several_ ? s.micro_f1 : s.accuracy;
  });
  return scores;
}

std::vector<Metric> ClassificationTask::settings() const {
  if (!has_several_) return {};
  return {{"threshold", threshold_}};
}

}  // namespace octet::cli
