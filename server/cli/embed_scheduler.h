// Embeds windows of texts on all cores. Every worker thread takes whatever is ready, computing before
// tokenizing and older windows before newer ones, and computes alone on a batch of its own: no barriers, so
// no core waits for another. In a window, texts are sorted by length, so that a batch's texts finish
// together; results stay in input order.
#ifndef OCTET_SERVER_CLI_EMBED_SCHEDULER_H_
#define OCTET_SERVER_CLI_EMBED_SCHEDULER_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "base/mutex.h"
#include "model/text_model.h"
#include "server/cli/batch_runner.h"
#include "server/cli/embed_input.h"

namespace octet::cli {

// A window's texts are sorted by length among themselves: enough of them for even batches, few enough that
// an interrupted run loses seconds and that memory stays small.
inline constexpr size_t kWindowTexts = 2048;
inline constexpr size_t kWindowBytes = 4 << 20;
inline constexpr size_t kMaxWindows = 3;  // one being delivered, one computed, one tokenized

struct EmbedItem {
  // The caller's.
  InputText input;
  std::optional<std::string> prompt_name;  // absent: the model's default
  uint64_t input_hash = 0;                 // LineReader::hash() after its line
  std::string row;                         // for SchedulerOptions::deliver to fill
  size_t number = 0;                       // in the whole input

  // The scheduler's.
  text::Encoding encoding;  // empty once computed
  absl::Status status;
  bool truncated = false;
  size_t num_tokens = 0;
  std::vector<text::TokenOffset> offsets;  // of its tokens, if asked for; there when it is delivered
};

struct EmbedWindow {
  std::vector<EmbedItem> items;

  // The scheduler's; guarded by its lock.
  size_t next_to_tokenize = 0;
  size_t num_to_tokenize = 0;                // not finished
  std::vector<std::vector<size_t>> batches;  // indices into items
  size_t next_batch = 0;
  size_t num_batches_left = 0;
  bool planned = false;
  bool done() const { return planned && num_batches_left == 0; }
};

struct SchedulerOptions {
  int num_threads = 1;
  size_t max_batch_tokens = 2048;
  bool truncate = true;
  bool with_offsets = false;
  // Takes what the model answers for a text (BatchRunner::Finish) as soon as it is computed: on a worker thread, for
  // many items at the same time, in any order.
  std::function<void(EmbedItem* item, std::span<const float> answer)> deliver;
};

class EmbedScheduler {
 public:
  // `model` must outlive it. Starts the threads.
  EmbedScheduler(const model::TextModel* model, const SchedulerOptions& options);
  ~EmbedScheduler();  // stops; windows not waited for are lost

  // Precondition: window.items is not empty.
  void Submit(std::unique_ptr<EmbedWindow> window);
  size_t num_windows() const;
  // Waits for the oldest window and takes it out. Precondition: num_windows() > 0.
  std::unique_ptr<EmbedWindow> TakeOldest();

 private:
  struct Task {
    EmbedWindow* window = nullptr;
    bool is_batch = false;
    size_t begin = 0, end = 0;  // items to tokenize, or [begin] the batch
  };

  void RunWorker();
  bool FindTask(Task* task) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Tokenize(const Task& task);
  void Plan(EmbedWindow* window);
  void Compute(const Task& task, BatchRunner* runner);

  const model::TextModel* const model_;
  const SchedulerOptions options_;

  mutable Mutex mu_;
  CondVar work_or_stop_;
  CondVar window_done_;
  std::deque<std::unique_ptr<EmbedWindow>> windows_ ABSL_GUARDED_BY(mu_);  // oldest first
  bool stop_ ABSL_GUARDED_BY(mu_) = false;

  std::vector<std::thread> threads_;  // last: they use all of the above
};

}  // namespace octet::cli

#endif  // OCTET_SERVER_CLI_EMBED_SCHEDULER_H_
