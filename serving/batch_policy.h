// Given the queue and the time, what goes into the next batch? A pure function; the thread around it is
// batch_queue.h. Rules:
//  1. Expired and cancelled calls are dropped first and never computed.
//  2. A free worker takes what is waiting, up to the budget of tokens and texts. Only with a delay
//     configured, and only while less than a full batch waits, it waits until the oldest call is that old.
//  3. Texts of one batch belong to one model. Models with waiting texts take turns.
//  4. Texts of one call may be spread over batches, in order. The oldest call may fill a quarter of the
//     budget at once, so that long calls move on; what is left goes round all calls, oldest first, a text
//     at a time, so that a call of one text never waits behind a long one while its turn fits.
//  5. A text that does not fit what is left ends its call's part in this batch; others go on filling. The
//     oldest call always gets at least one text (a text alone always fits), so every cut makes progress
//     and every call is served in the end.
#ifndef OCTET_SERVING_BATCH_POLICY_H_
#define OCTET_SERVING_BATCH_POLICY_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "absl/time/time.h"
#include "base/clock.h"

namespace octet::serving {

struct BatchPolicyOptions {
  size_t max_batch_tokens = 8192;
  size_t max_batch_texts = 512;
  absl::Duration max_batch_delay = absl::ZeroDuration();
};

// A call with at least one text that is in no batch yet.
struct WaitingCall {
  uint64_t model_key = 0;  // equal for calls that may share a batch
  MonotonicTime enqueued;
  MonotonicTime deadline = absl::InfiniteDuration();
  bool cancelled = false;
  std::span<const uint32_t> text_tokens;  // tokens of each waiting text, in order; at least one
};

// `num_texts` next texts of queue[call_idx].
struct BatchPart {
  size_t call_idx = 0;
  size_t num_texts = 0;
};

struct BatchCut {
  std::vector<size_t> expired, cancelled;   // indices into the queue, ascending
  std::vector<BatchPart> parts;             // of one model, by call_idx; empty: nothing to compute now
  uint64_t model_key = 0;                   // of the parts
  std::optional<MonotonicTime> wait_until;  // set when texts wait but the delay says not yet
};

// `queue`: oldest first. `last_model_key`: of the batch before this one. A text with more tokens than
// max_batch_tokens goes alone.
BatchCut CutBatch(const BatchPolicyOptions& options, std::span<const WaitingCall> queue, MonotonicTime now,
                  uint64_t last_model_key);

}  // namespace octet::serving

#endif  // OCTET_SERVING_BATCH_POLICY_H_
