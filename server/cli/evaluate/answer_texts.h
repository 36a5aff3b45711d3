// Runs texts through a model the way octet serves them and measures it: all of them on all cores for throughput, some
// of them one at a time for latency.
#ifndef OCTET_SERVER_CLI_EVALUATE_ANSWER_TEXTS_H_
#define OCTET_SERVER_CLI_EVALUATE_ANSWER_TEXTS_H_

#include <cstdint>
#include <functional>
#include <vector>

#include "absl/status/statusor.h"
#include "base/clock.h"
#include "base/matrix_view.h"
#include "server/cli/embed_model.h"
#include "server/cli/evaluate/task.h"

namespace octet::cli {

struct AnswerOptions {
  int num_threads = 1;
  // The texts are run again until this much time is measured; 0: once.
  absl::Duration min_time = absl::ZeroDuration();
  std::function<void(uint64_t done_texts, uint64_t num_texts)> progress;  // must be set
};

struct Answers {
  std::vector<float> values;  // [num_rows, width]: as Task::Score takes them
  size_t num_rows = 0, width = 0;
  uint64_t num_texts = 0, num_tokens = 0;
  uint64_t num_clipped = 0;  // texts cut to the model's limit
  double seconds_per_pass = 0;

  MatrixView<const float> view() const { return {values.data(), num_rows, width}; }
};

// Longer texts are cut, as `octet embed` does. Time is from the first text handed in to the last answer, after a
// warm-up. The error of the first text that fails, with its origin.
absl::StatusOr<Answers> AnswerTexts(const EmbedModel& model, const std::vector<TaskText>& texts,
                                    const AnswerOptions& options);

struct Latency {
  size_t num_texts = 0;
  double p50_ms = 0, p99_ms = 0;  // nearest rank
};

// Of up to kLatencyTexts texts, evenly spaced among all: tokenizing and one forward pass by a team of num_threads, as
// the server computes a lone call.
inline constexpr size_t kLatencyTexts = 400;
absl::StatusOr<Latency> MeasureLatency(const EmbedModel& model, const std::vector<TaskText>& texts, int num_threads);

}  // namespace octet::cli

#endif  // OCTET_SERVER_CLI_EVALUATE_ANSWER_TEXTS_H_
