#include "server/cli/evaluate/similarity_task.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/cosine.h"
#include "base/status_macros.h"
#include "model/quote.h"
#include "server/cli/evaluate/correlation.h"
#include "server/cli/evaluate/table_reader.h"

namespace octet::cli {

absl::StatusOr<std::unique_ptr<SimilarityTask>> SimilarityTask::Load(const TaskOptions& options) {
  ASSIGN_OR_RETURN(const DataFile file, ReadDataFile(options.data));
  ASSIGN_OR_RETURN(
      std::vector<Record> records,
      ReadTable(file,
                {.wanted = {{.names = {"sentence1", "text1"}}, {.names = {"sentence2", "text2"}}, {.names = {"score"}}},
                 .columns = options.columns,
                 .headless_fields = 3,
                 .where = options.where,
                 .limit = options.limit}));
  auto task = std::unique_ptr<SimilarityTask>(new SimilarityTask());
  task->bootstrap_ = options.bootstrap;
  for (Record& record : records) {
    double score;
    if (!absl::SimpleAtod(record.fields[2], &score) || !std::isfinite(score)) {
      return LineError(file.path, record.line,
                       absl::StrCat("score ", model::Quote(record.fields[2]), ": not a finite number"));
    }
    task->gold_.push_back(score);
    const std::string origin = absl::StrCat(file.path, ":", record.line);
    for (size_t i = 0; i < 2; ++i) {
      task->texts_.push_back({.text = std::move(record.fields[i]), .prompt_name = {}, .origin = origin});
    }
  }
  const auto [low, high] = std::minmax_element(task->gold_.begin(), task->gold_.end());
  if (*low == *high) {
    return absl::InvalidArgumentError(absl::StrCat(file.path, ": ", task->gold_.size(),
                                                   " pairs, all with one score; a correlation needs two scores"));
  }
  task->description_ = {.name = "similarity",
                        .example_noun = "pairs",
                        .num_examples = task->gold_.size(),
                        .main_metric = "spearman",
                        .flip_noun = "",
                        .files = {file.digest}};
  return task;
}

absl::StatusOr<Scores> SimilarityTask::Score(MatrixView<const float> answers) const {
  std::vector<double> cosines(gold_.size());
  for (size_t i = 0; i < cosines.size(); ++i) cosines[i] = Cosine(answers.Row(2 * i), answers.Row(2 * i + 1));
  const double spearman = Spearman(gold_, cosines);
  if (std::isnan(spearman)) {
    return absl::InvalidArgumentError("spearman: not defined, the model gives every pair the same cosine");
  }
  std::vector<double> gold_sample(gold_.size()), cosine_sample(gold_.size());
  Scores scores;
  scores.metrics = {{"spearman", spearman}, {"pearson", Pearson(gold_, cosines)}};
  scores.replicates = BootstrapReplicates(gold_.size(), bootstrap_, [&](std::span<const uint32_t> sample) {
    for (size_t i = 0; i < sample.size(); ++i) {
      gold_sample[i] = gold_[sample[i]];
      cosine_sample[i] = cosines[sample[i]];
    }
    return Spearman(gold_sample, cosine_sample);
  });
  return scores;
}

}  // namespace octet::cli
