// A labelled task: the texts to run through a model, and what the answers are worth. Knows nothing of variants, speed
// or reports. Immutable but for CheckModel and Calibrate; one file each for similarity, classification, retrieval and
// tokens.
#ifndef OCTET_SERVER_CLI_EVALUATE_TASK_H_
#define OCTET_SERVER_CLI_EVALUATE_TASK_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/matrix_view.h"
#include "model/text_model.h"
#include "server/cli/evaluate/bootstrap.h"
#include "server/cli/evaluate/data_file.h"
#include "text/tokenizer.h"

namespace octet::cli {

struct TaskOptions {
  std::string task;  // "similarity", "classification", "retrieval", "tokens"
  std::string data;  // a file; for retrieval a folder
  std::string labels, dev;
  std::vector<std::string> columns;
  std::string where;
  std::string split = "test";  // retrieval: qrels/<split>.tsv
  std::optional<std::string> query_prompt, document_prompt;
  uint64_t limit = 0;  // examples; 0 all
  int num_threads = 1;
  BootstrapOptions bootstrap;
};

struct TaskText {
  std::string text;
  std::optional<std::string> prompt_name;  // absent: the model's default
  std::string origin;                      // "<path>:<line>", for messages
  // Byte ranges of the text's words, when the model answers tokens: then a row of the answers is a word's, that of its
  // first token, and one of NaN when it has none (text/split_words.h). Otherwise a row is a text's.
  std::vector<text::TokenOffset> words = {};
};

struct TaskDescription {
  std::string name;
  std::string example_noun;  // what is drawn in the bootstrap: "pairs"
  size_t num_examples = 0;
  std::string main_metric;  // the first of Scores::metrics
  std::string flip_noun;    // what a flip is; "" when the task has none
  std::vector<FileDigest> files;
};

// Metrics are shares: within [-1, 1]. `name` is the key in the JSON report.
struct Metric {
  std::string name;
  double value = 0;
};

struct Scores {
  std::vector<Metric> metrics;     // the main one first
  std::vector<double> replicates;  // of the main one: BootstrapReplicates over the examples
  // What the model decided for each example (for each word where it answers words), or nothing: two variants' flips are
  // the entries that differ.
  std::vector<std::vector<uint32_t>> decisions;
  std::optional<uint64_t> num_clipped_words;  // words without an answer; nothing when answers are those of texts
};

class Task {
 public:
  virtual ~Task() = default;

  virtual const TaskDescription& description() const = 0;
  virtual const std::vector<TaskText>& texts() const = 0;

  // What a model must do for its answers to be scored.
  virtual model::Task model_task() const { return model::Task::kEmbedding; }
  // To be called before a model's answers are scored. FailedPrecondition when the model does something else; else as
  // FitLabels.
  virtual absl::Status CheckModel(const model::TextModel& model);
  // Tells the labels that the columns of the next answers stand for. InvalidArgument when the data do not fit them.
  virtual absl::Status FitLabels(const std::vector<std::string>& labels);

  // Texts of the development file, if the task has settings to take from one; then Calibrate gets the baseline's
  // answers to them, once and before Score.
  virtual const std::vector<TaskText>& dev_texts() const;
  virtual absl::Status Calibrate(MatrixView<const float> dev_answers);

  // answers: [texts().size(), width], what the model answers for each text, or a row for each word of each text, if they
  // have words. InvalidArgument for answers that do
  // not fit the data (a label beyond the model's), or a metric that is not defined on the data.
  virtual absl::StatusOr<Scores> Score(MatrixView<const float> answers) const = 0;

  // Settings that Calibrate found or defaults stand for, for the report.
  virtual std::vector<Metric> settings() const { return {}; }
};

// Reads the data. InvalidArgument or NotFound: the options or the files, one line.
absl::StatusOr<std::unique_ptr<Task>> MakeTask(const TaskOptions& options);

}  // namespace octet::cli

#endif  // OCTET_SERVER_CLI_EVALUATE_TASK_H_
