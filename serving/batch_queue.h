// Tokenized calls waiting for the compute worker: the thin thread-safe shell around batch_policy.h. One
// worker takes from it; any thread pushes. When the worker is idle a small call can be handed to it before
// tokenizing, which saves a lone call the wake-up of a tokenizer thread.
#ifndef OCTET_SERVING_BATCH_QUEUE_H_
#define OCTET_SERVING_BATCH_QUEUE_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "serving/admission.h"
#include "serving/batch_policy.h"
#include "serving/call.h"

namespace octet::serving {

// One text of a batch.
struct BatchText {
  std::shared_ptr<Call> call;
  size_t text_idx = 0;
};

// What the worker gets: one of a call to tokenize or texts to compute, beside calls that were dropped (to
// be answered with what CheckWanted says at `cut_at`). Nothing at all: `stopped`, or `is_spare`.
struct BatchWork {
  std::shared_ptr<Call> to_tokenize;
  std::vector<BatchText> texts;  // of one model
  std::vector<std::shared_ptr<Call>> dropped;
  MonotonicTime cut_at;
  bool stopped = false;
  bool is_spare = false;
};

class BatchQueue {
 public:
  BatchQueue(const BatchPolicyOptions& options, const Clock* clock) : options_(options), clock_(clock) {}

  // Adds a call prepared for compute; `ticket` is given back text by text as batches are cut. True when
  // the worker was idle.
  bool Push(std::shared_ptr<Call> call, Admission::Ticket ticket);

  // Hands an untokenized call to the worker if that has nothing to do; else false and no effect.
  bool TryHandToIdleWorker(const std::shared_ptr<Call>& call);

  // Blocks until there is work, or there has been none for `spare_after` (real time): then is_spare is set and nothing
  // waits. Only the worker calls it.
  BatchWork Take(absl::Duration spare_after = absl::InfiniteDuration());

  // Takes out calls that are answered, cancelled or expired; the last two are returned. `left` (may be
  // null): how many calls still wait.
  std::vector<std::shared_ptr<Call>> Sweep(size_t* left);

  void Stop();

  bool Empty() const;
  std::optional<MonotonicTime> OldestEnqueued() const;
  // As OldestEnqueued if the worker sleeps, else nothing.
  std::optional<MonotonicTime> WaitingBesideIdleWorker() const;

 private:
  struct Entry {
    std::shared_ptr<Call> call;
    Admission::Ticket ticket;
    size_t next_text = 0;
    MonotonicTime enqueued;
  };

  void DropFinished() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  BatchCut Cut(MonotonicTime now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Apply(const BatchCut& cut, BatchWork* work) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const BatchPolicyOptions options_;
  const Clock* const clock_;
  mutable Mutex mu_;
  CondVar wake_worker_;
  std::vector<Entry> entries_ ABSL_GUARDED_BY(mu_);     // oldest first, each with texts left
  std::vector<WaitingCall> view_ ABSL_GUARDED_BY(mu_);  // of entries_; kept for its memory
  std::shared_ptr<Call> handed_ ABSL_GUARDED_BY(mu_);
  uint64_t last_model_key_ ABSL_GUARDED_BY(mu_) = 0;
  bool worker_idle_ ABSL_GUARDED_BY(mu_) = false;
  bool stopped_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace octet::serving

#endif  // OCTET_SERVING_BATCH_QUEUE_H_
