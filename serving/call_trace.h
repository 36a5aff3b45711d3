// When the phases of one call were, for a call that is traced or whose times are logged if it is slow. The pipeline
// writes, whoever ends the call reads: a call that is cut off may end while a worker still has its texts. Numbers and
// times only, never text. Thread-safe.
#ifndef OCTET_SERVING_CALL_TRACE_H_
#define OCTET_SERVING_CALL_TRACE_H_

#include <cstddef>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/mutex.h"
#include "base/trace_context.h"

namespace octet::serving {

// A forward pass that the call had texts in.
struct BatchPhase {
  MonotonicTime begin;  // cut from the queue
  MonotonicTime compute_begin, compute_end;
  MonotonicTime end;  // outputs are with their calls
  size_t num_calls = 0, num_texts = 0, num_tokens = 0;
  // The sampled calls of the batch, this one among them; the first kMaxBatchMembers of them.
  std::shared_ptr<const std::vector<TraceContext>> members = {};
  size_t num_members = 0;  // all of them
};

struct TokenizePhase {
  MonotonicTime begin, end;
  bool failed = false;
};

struct CallPhases {
  size_t num_texts = 0, num_tokens = 0;  // tokens: after truncation, once they are known
  std::optional<TokenizePhase> tokenize = {};
  std::vector<BatchPhase> batches = {};  // the first CallTrace::kMaxBatches
  size_t num_batches = 0;                // all of them
};

class CallTrace {
 public:
  // A call of many long texts has as many batches; what is more tells nothing new.
  static constexpr size_t kMaxBatches = 16;
  // Members of a batch that its span links to: with more the cost of a full batch would grow with their square.
  static constexpr size_t kMaxBatchMembers = 32;

  // `context`: the span that the phases belong to; not sampled when the phases are only for the log.
  explicit CallTrace(const TraceContext& context) : context_(context) {}

  const TraceContext& context() const { return context_; }

  void SetNumTexts(size_t num_texts) {
    MutexLock lock(&mu_);
    phases_.num_texts = num_texts;
  }
  void SetTokenized(const TokenizePhase& tokenize) {
    MutexLock lock(&mu_);
    phases_.tokenize = tokenize;
  }
  void SetNumTokens(size_t num_tokens) {
    MutexLock lock(&mu_);
    phases_.num_tokens = num_tokens;
  }
  void AddBatch(BatchPhase batch) {
    MutexLock lock(&mu_);
    if (phases_.num_batches++ < kMaxBatches) phases_.batches.push_back(std::move(batch));
  }

  CallPhases phases() const {
    MutexLock lock(&mu_);
    return phases_;
  }

 private:
  const TraceContext context_;
  mutable Mutex mu_;
  CallPhases phases_ ABSL_GUARDED_BY(mu_);
};

}  // namespace octet::serving

#endif  // OCTET_SERVING_CALL_TRACE_H_
