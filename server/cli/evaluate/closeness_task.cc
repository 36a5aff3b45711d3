#include "server/cli/evaluate/closeness_task.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/cosine.h"
#include "base/status_macros.h"
#include "server/cli/embed_input.h"

namespace octet::cli {

absl::StatusOr<std::unique_ptr<ClosenessTask>> ClosenessTask::Load(const TaskOptions& options) {
  ASSIGN_OR_RETURN(const DataFile file, ReadDataFile(options.data));
  auto task = std::unique_ptr<ClosenessTask>(new ClosenessTask());
  task->bootstrap_ = options.bootstrap;
  const bool is_json = absl::StartsWith(file.content, "{");
  uint64_t line_number = 0;
  for (const absl::string_view line : absl::StrSplit(file.content, '\n')) {
    ++line_number;
    const std::string stripped(absl::StripSuffix(line, "\r"));
    if (stripped.empty()) continue;
    if (options.limit != 0 && task->texts_.size() == options.limit) break;
    auto input = ParseInputLine(stripped, is_json, line_number);
    if (!input.ok()) {
      return absl::InvalidArgumentError(absl::StrCat(file.path, ": ", input.status().message()));
    }
    task->texts_.push_back(
        {.text = std::move(input->text), .prompt_name = {}, .origin = absl::StrCat(file.path, ":", line_number)});
  }
  if (task->texts_.empty()) return absl::InvalidArgumentError(absl::StrCat(file.path, ": no texts"));
  task->description_ = {.name = "closeness",
                        .example_noun = "texts",
                        .num_examples = task->texts_.size(),
                        .main_metric = "cosine",
                        .flip_noun = "",
                        .files = {file.digest}};
  return task;
}

absl::Status ClosenessTask::Calibrate(MatrixView<const float> dev_answers) {
  width_ = dev_answers.cols();
  baseline_.resize(texts_.size() * width_);
  for (size_t i = 0; i < texts_.size(); ++i) {
    const auto row = dev_answers.Row(i);
    std::copy(row.begin(), row.end(), baseline_.begin() + static_cast<std::ptrdiff_t>(i * width_));
  }
  return absl::OkStatus();
}

absl::Status ClosenessTask::CheckModel(const model::TextModel& model) {
  if (model.info().task != model::Task::kTokenClassification) return absl::OkStatus();
  return absl::FailedPreconditionError(
      "--task closeness: the model answers every token, not texts; take --task tokens with labelled sentences");
}

absl::StatusOr<Scores> ClosenessTask::Score(MatrixView<const float> answers) const {
  if (answers.cols() != width_) {
    return absl::InvalidArgumentError(
        absl::StrCat("closeness: answers of ", answers.cols(), " values, f32's have ", width_));
  }
  std::vector<double> cosines(texts_.size());
  double sum = 0;
  for (size_t i = 0; i < cosines.size(); ++i) {
    cosines[i] = Cosine(answers.Row(i), std::span(baseline_).subspan(i * width_, width_));
    sum += cosines[i];
  }
  Scores scores;
  scores.metrics = {{"cosine", sum / static_cast<double>(cosines.size())},
                    {"cosine_min", *std::min_element(cosines.begin(), cosines.end())}};
  scores.replicates = BootstrapReplicates(cosines.size(), bootstrap_, [&](std::span<const uint32_t> sample) {
    double sample_sum = 0;
    for (const uint32_t i : sample) sample_sum += cosines[i];
    return sample_sum / static_cast<double>(sample.size());
  });
  return scores;
}

}  // namespace octet::cli
