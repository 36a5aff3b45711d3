#include "server/cli/evaluate/task.h"

#include "absl/strings/str_cat.h"
#include "model/quote.h"
#include "server/cli/evaluate/classification_task.h"
#include "server/cli/evaluate/closeness_task.h"
#include "server/cli/evaluate/retrieval_task.h"
#include "server/cli/evaluate/similarity_task.h"
#include "server/cli/evaluate/tokens_task.h"

namespace octet::cli {
namespace {

absl::Status Refuse(absl::string_view flag, absl::string_view why) {
  return absl::InvalidArgumentError(absl::StrCat(flag, ": ", why));
}

// A flag that another task would read must not be passed over in silence.
absl::Status CheckFlags(const TaskOptions& options) {
  const bool is_classification = options.task == "classification";
  const bool is_retrieval = options.task == "retrieval";
  const bool is_tokens = options.task == "tokens";
  if (!is_classification && !is_tokens && !options.labels.empty()) {
    return Refuse("--labels", "only for --task classification and tokens");
  }
  if (!is_classification && !options.dev.empty()) return Refuse("--dev", "only for --task classification");
  if (!is_retrieval && options.split != TaskOptions().split) return Refuse("--split", "only for --task retrieval");
  if (!is_retrieval && (options.query_prompt.has_value() || options.document_prompt.has_value())) {
    return Refuse("--query-prompt and --document-prompt", "only for --task retrieval");
  }
  const bool is_closeness = options.task == "closeness";
  if (is_closeness && (!options.columns.empty() || !options.where.empty())) {
    return Refuse("--columns and --where", "not for --task closeness, whose file is of texts alone");
  }
  if (is_retrieval && !options.columns.empty()) return Refuse("--columns", "the retrieval files have fixed columns");
  if (is_retrieval && !options.where.empty()) return Refuse("--where", "not for --task retrieval; see --split");
  if (is_tokens && !options.columns.empty()) {
    return Refuse("--columns", "not for --task tokens; a line's first column is the word, its last the label");
  }
  if (is_tokens && !options.where.empty()) return Refuse("--where", "not for --task tokens");
  return absl::OkStatus();
}

template <typename T>
absl::StatusOr<std::unique_ptr<Task>> LoadTask(const TaskOptions& options) {
  absl::StatusOr<std::unique_ptr<T>> task = T::Load(options);
  if (!task.ok()) return task.status();
  return std::unique_ptr<Task>(*std::move(task));
}

}  // namespace

absl::Status Task::CheckModel(const model::TextModel& model) {
  if (model.info().task == model_task()) return FitLabels(model.info().labels);
  return absl::FailedPreconditionError(absl::StrCat("--task ", description().name, ": the model's task is ",
                                                    model::TaskName(model.info().task), ", not ",
                                                    model::TaskName(model_task())));
}

absl::Status Task::FitLabels(const std::vector<std::string>&) { return absl::OkStatus(); }

const std::vector<TaskText>& Task::dev_texts() const {
  static const std::vector<TaskText> none;
  return none;
}

absl::Status Task::Calibrate(MatrixView<const float> dev_answers) {
  return absl::InternalError("this task has nothing to calibrate");
}

absl::StatusOr<std::unique_ptr<Task>> MakeTask(const TaskOptions& options) {
  if (const absl::Status status = CheckFlags(options); !status.ok()) return status;
  if (options.task == "similarity") return LoadTask<SimilarityTask>(options);
  if (options.task == "classification") return LoadTask<ClassificationTask>(options);
  if (options.task == "retrieval") return LoadTask<RetrievalTask>(options);
  if (options.task == "tokens") return LoadTask<TokensTask>(options);
  if (options.task == "closeness") return LoadTask<ClosenessTask>(options);
  return Refuse("--task", absl::StrCat(model::Quote(options.task),
                                       ": want similarity, classification, retrieval, tokens or closeness"));
}

}  // namespace octet::cli
