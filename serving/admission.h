// How much work the server takes in. Two stages, because tokens are known only after tokenizing: first the
// bytes of texts waiting for or in tokenizing, then the tokens and texts waiting for a worker. Beyond
// either, a call is refused at once and told when to come back; likewise one whose answer has a vector for every
// token, if such answers would take too much memory. What was taken is held by tickets, which
// give it back on every path. Knows no queues and no threads. Thread-safe.
#ifndef OCTET_SERVING_ADMISSION_H_
#define OCTET_SERVING_ADMISSION_H_

#include <cstddef>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/mutex.h"

namespace octet::serving {

struct AdmissionLimits {
  size_t max_pending_bytes = 0;
  size_t max_queue_tokens = 0;
  size_t max_queue_texts = 0;
  size_t max_hidden_state_bytes = 0;
};

struct AdmissionUse {
  size_t pending_bytes = 0, queue_tokens = 0, queue_texts = 0, hidden_state_bytes = 0;
};

class Admission {
 public:
  // Holds an amount until destroyed or reset; must not outlive its Admission. Not thread-safe.
  class Ticket {
   public:
    Ticket() = default;
    Ticket(Ticket&& other) noexcept : admission_(std::exchange(other.admission_, nullptr)), use_(other.use_) {}
    Ticket& operator=(Ticket&& other) noexcept {
      if (this != &other) {
        Reset();
        admission_ = std::exchange(other.admission_, nullptr);
        use_ = other.use_;
      }
      return *this;
    }
    ~Ticket() { Reset(); }

    // Gives everything back.
    void Reset();
    // Gives a part back: at most what is left.
    void GiveBack(size_t tokens, size_t texts);

   private:
    friend class Admission;
    Ticket(Admission* admission, AdmissionUse use) : admission_(admission), use_(use) {}
    Admission* admission_ = nullptr;
    AdmissionUse use_;
  };

  // What an admitted text costs beside its bytes, so that empty ones are bounded as well: about the
  // size of its state until it is answered.
  static constexpr size_t kBytesPerText = 128;

  explicit Admission(const AdmissionLimits& limits) : limits_(limits) {}

  // ResourceExhausted "queue: full" with RetryAfter and reason, when the amount does not fit beside what
  // is held. Something that comes alone is always admitted, so that no call can wait for ever.
  absl::StatusOr<Ticket> AdmitBytes(size_t text_bytes, size_t num_texts);
  absl::StatusOr<Ticket> AdmitTokens(size_t tokens, size_t num_texts);
  absl::StatusOr<Ticket> AdmitHiddenStates(size_t bytes);

  // Tells how fast the server works off its queue.
  void RecordBatch(size_t tokens, absl::Duration compute_time);

  // How long the tokens admitted now will take, from 10 ms to 5 s.
  absl::Duration EstimateDrainTime() const;

  AdmissionUse Use() const;

 private:
  absl::Status Refuse() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::Duration DrainTime() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void GiveBack(const AdmissionUse& amount);

  const AdmissionLimits limits_;
  mutable Mutex mu_;
  AdmissionUse use_ ABSL_GUARDED_BY(mu_);
  double tokens_per_second_ ABSL_GUARDED_BY(mu_) = 0;  // moving average; 0 = nothing measured yet
};

}  // namespace octet::serving

#endif  // OCTET_SERVING_ADMISSION_H_
