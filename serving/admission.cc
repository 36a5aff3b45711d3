#include "serving/admission.h"

#include <algorithm>

#include "serving/request.h"

namespace octet::serving {
namespace {

// Sooner than 10 ms a retry finds the same queue; later than 5 s a caller's own deadline decides.
constexpr absl::Duration kMinRetryAfter = absl::Milliseconds(10);
constexpr absl::Duration kMaxRetryAfter = absl::Seconds(5);
constexpr absl::Duration kUnmeasuredRetryAfter = absl::Milliseconds(100);
// Bytes of English per word piece, special tokens included; only an estimate is made from it.
constexpr double kBytesPerToken = 4;
// Weight of the newest batch: old load is forgotten after about ten batches.
constexpr double kNewestWeight = 0.2;

bool Fits(size_t held, size_t amount, size_t limit) { return held == 0 || (amount <= limit && held <= limit - amount); }

}  // namespace

absl::StatusOr<Admission::Ticket> Admission::AdmitBytes(size_t text_bytes, size_t num_texts) {
  const size_t bytes = text_bytes + num_texts * kBytesPerText;
  MutexLock lock(&mu_);
  if (!Fits(use_.pending_bytes, bytes, limits_.max_pending_bytes)) return Refuse();
  use_.pending_bytes += bytes;
  return Ticket(this, {.pending_bytes = bytes});
}

absl::StatusOr<Admission::Ticket> Admission::AdmitTokens(size_t tokens, size_t num_texts) {
  MutexLock lock(&mu_);
  if (!Fits(use_.queue_tokens, tokens, limits_.max_queue_tokens) ||
      !Fits(use_.queue_texts, num_texts, limits_.max_queue_texts)) {
    return Refuse();
  }
  use_.queue_tokens += tokens;
  use_.queue_texts += num_texts;
  return Ticket(this, {.queue_tokens = tokens, .queue_texts = num_texts});
}

absl::StatusOr<Admission::Ticket> Admission::AdmitHiddenStates(size_t bytes) {
  MutexLock lock(&mu_);
  if (!Fits(use_.hidden_state_bytes, bytes, limits_.max_hidden_state_bytes)) return Refuse();
  use_.hidden_state_bytes += bytes;
  return Ticket(this, {.hidden_state_bytes = bytes});
}

absl::Status Admission::Refuse() const {
  return WithRetryAfter(WithReason(absl::ResourceExhaustedError("queue: full"), kReasonQueueFull), DrainTime());
}

absl::Duration Admission::DrainTime() const {
  if (tokens_per_second_ <= 0) return kUnmeasuredRetryAfter;
  const double tokens =
      static_cast<double>(use_.queue_tokens) + static_cast<double>(use_.pending_bytes) / kBytesPerToken;
  return std::clamp(absl::Seconds(tokens / tokens_per_second_), kMinRetryAfter, kMaxRetryAfter);
}

absl::Duration Admission::EstimateDrainTime() const {
  MutexLock lock(&mu_);
  return DrainTime();
}

void Admission::RecordBatch(size_t tokens, absl::Duration compute_time) {
  if (compute_time <= absl::ZeroDuration()) return;
  const double rate = static_cast<double>(tokens) / absl::ToDoubleSeconds(compute_time);
  MutexLock lock(&mu_);
  tokens_per_second_ = tokens_per_second_ <= 0 ? rate : (1 - kNewestWeight) * tokens_per_second_ + kNewestWeight * rate;
}

AdmissionUse Admission::Use() const {
  MutexLock lock(&mu_);
  return use_;
}

void Admission::GiveBack(const AdmissionUse& amount) {
  MutexLock lock(&mu_);
  use_.pending_bytes -= amount.pending_bytes;
  use_.queue_tokens -= amount.queue_tokens;
  use_.queue_texts -= amount.queue_texts;
  use_.hidden_state_bytes -= amount.hidden_state_bytes;
}

void Admission::Ticket::Reset() {
  if (admission_ != nullptr) std::exchange(admission_, nullptr)->GiveBack(use_);
}

void Admission::Ticket::GiveBack(size_t tokens, size_t texts) {
  if (admission_ == nullptr) return;
  const AdmissionUse part = {.queue_tokens = std::min(tokens, use_.queue_tokens),
                             .queue_texts = std::min(texts, use_.queue_texts)};
  admission_->GiveBack(part);
  use_.queue_tokens -= part.queue_tokens;
  use_.queue_texts -= part.queue_texts;
}

}  // namespace octet::serving
