// The way of a request through the server, behind one call: admission by bytes -> tokenizing (own threads), which
// requests that come as token ids have no need of
// -> admission by tokens -> batching across calls by token budget -> a worker's forward pass -> done.
// Errors (code, field-named message, reliability table section 2.1):
//   NotFound            unknown model
//   InvalidArgument     "texts: empty", "texts: 129 items, limit 128", "texts[3]: 70000 bytes, limit 65536",
//                       "texts[0]: 300 tokens, limit 256", "texts[0]: token id -1, the vocabulary has 30522",
//                       "dimensions: 0, ...", "prompt_name: ..."
//   FailedPrecondition  the model has another task than the request
//   ResourceExhausted   a bounded queue is full; carries WithRetryAfter
//   DeadlineExceeded    passed before compute; never computed
//   Cancelled           client gone before compute; never computed
//   Unavailable         draining
//   Internal            "non-finite output", a worker's fault
// What is refused before tokenizing is in request_check.h, what is refused for load in admission.h, and who
// shares a batch in batch_policy.h. Texts of a model with a shadow (shadow.h) may be computed again after they are
// answered, while nothing else is to be done. Thread-safe.
#ifndef OCTET_SERVING_PIPELINE_H_
#define OCTET_SERVING_PIPELINE_H_

#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "serving/metrics.h"
#include "serving/model_repository.h"
#include "serving/request.h"

namespace octet::serving {

struct PipelineOptions {
  int num_tokenizer_threads = 1;
  int num_compute_threads = 1;  // of one worker's team
  // CPU time that the process may use, in CPUs, if it can use more than that: computing rests to stay within it.
  std::optional<double> cpu_quota = {};
  size_t max_texts_per_call = 128;
  size_t max_text_bytes = 65536;
  size_t max_batch_tokens = 8192;  // at least the longest model's max_tokens (C2)
  size_t max_batch_texts = 512;
  size_t max_pending_bytes = 16 << 20;  // of texts waiting for or in tokenizing
  size_t max_queue_tokens = 65536;      // tokenized, waiting for a worker
  size_t max_queue_texts = 4096;
  size_t max_hidden_state_bytes = 16 << 20;               // in answers of calls in work
  absl::Duration max_batch_delay = absl::ZeroDuration();  // 0: a free worker takes what is waiting
  // A thread that is on one item for longer is stuck. Must exceed the time of the largest batch, which on
  // the scalar reference kernels is minutes.
  absl::Duration busy_limit = absl::Seconds(10);
  // Calls of at most this many bytes of text are tokenized by the compute worker itself when it is idle, or else the
  // shortest by their caller: one thread fewer to wake up. 2 KiB is about 0.4 ms of tokenizing.
  size_t max_handed_bytes = 2048;
  // Warm-up passes have 1, 2, 4, ... up to this many tokens (at most max_batch_tokens).
  size_t warm_up_tokens = 512;
};

// How the pipeline is, for health and metrics; cheap.
struct PipelineHealth {
  bool live = true;    // every thread has made progress recently, or has nothing to do
  std::string reason;  // why not
};

class Pipeline {
 public:
  // `repository`, `metrics` and `clock` must outlive it. Starts its threads; workspaces are made and
  // warmed up for every model before Create returns. InvalidArgument for impossible options.
  static absl::StatusOr<std::unique_ptr<Pipeline>> Create(const PipelineOptions& options,
                                                          const ModelRepository* repository, Metrics* metrics,
                                                          const Clock* clock);
  // As Drain(0), then joins. A forward pass that never ends holds it up: after a Drain that cut calls off,
  // a process that has to end should exit without it.
  ~Pipeline();

  // Never blocks, but tokenizes short texts. `done` runs exactly once.
  void Submit(Request request, RequestDone done);

  // From now on Submit answers Unavailable and shadows rest; waits until every accepted request is done or `timeout`
  // has passed, then answers the rest Unavailable. Returns how many were cut off.
  size_t Drain(absl::Duration timeout);

  PipelineHealth Health() const;
  const PipelineOptions& options() const;

 private:
  struct State;
  explicit Pipeline(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace octet::serving

#endif  // OCTET_SERVING_PIPELINE_H_
