#include "serving/call.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace octet::serving {
namespace {

constexpr size_t kNoError = SIZE_MAX;

}  // namespace

void CountRefusal(const absl::Status& status, Metrics* metrics) {
  static constexpr struct {
    const char* reason;
    RejectReason label;
  } kLabels[] = {
      {kReasonQueueFull, RejectReason::kQueueFull}, {kReasonDeadline, RejectReason::kDeadline},
      {kReasonCancelled, RejectReason::kCancelled}, {kReasonInvalid, RejectReason::kInvalid},
      {kReasonTooLong, RejectReason::kTooLong},     {kReasonUnknownModel, RejectReason::kUnknownModel},
      {kReasonWrongTask, RejectReason::kWrongTask}, {kReasonDraining, RejectReason::kDraining},
  };
  const std::string reason = ReasonOf(status);
  for (const auto& entry : kLabels) {
    if (reason == entry.reason) metrics->RecordRejected(entry.label);
  }
}

Call::Call(Request request, RequestDone done, CallPlan plan, MonotonicTime arrival, Admission::Ticket bytes,
           Metrics* metrics)
    : request_(std::move(request)),
      plan_(std::move(plan)),
      num_texts_(request_.num_texts()),
      has_token_ids_(!request_.encodings.empty()),
      arrival_(arrival),
      metrics_(metrics),
      model_metrics_(metrics->ForModel(plan_.model->name)),
      done_(std::move(done)),
      bytes_(std::move(bytes)),
      first_error_idx_(kNoError),
      error_bound_(kNoError),
      texts_to_tokenize_(num_texts_),
      encodings_(std::move(request_.encodings)) {
  encodings_.resize(num_texts_);
  tokenize_options_.truncate = request_.truncate;
  tokenize_options_.side = request_.truncation_side;
  tokenize_options_.prompt_name = request_.prompt_name;
}

absl::Status Call::CheckWanted(MonotonicTime now) const {
  if (cancelled()) {
    return WithReason(absl::CancelledError("request: cancelled by the client before compute"), kReasonCancelled);
  }
  if (deadline() <= now) {
    return WithReason(absl::DeadlineExceededError("request: deadline passed before compute"), kReasonDeadline);
  }
  return absl::OkStatus();
}

bool Call::Finish(absl::StatusOr<Response> result) {
  RequestDone done;
  Admission::Ticket bytes, hidden_state_bytes;
  {
    MutexLock lock(&mu_);
    if (finished()) return false;
    finished_.store(true, std::memory_order_release);
    done = std::move(done_);
    bytes = std::move(bytes_);
    hidden_state_bytes = std::move(hidden_state_bytes_);  // until `done` has written them
  }
  bytes.Reset();
  Count(result);
  std::move(done)(std::move(result));
  if (registry_ != nullptr) registry_->Remove(this);
  return true;
}

void Call::Count(const absl::StatusOr<Response>& result) const {
  if (!result.ok()) {
    if (absl::IsDeadlineExceeded(result.status())) metrics_->expired_in_queue->Increment();
    if (absl::IsCancelled(result.status())) metrics_->cancelled_in_queue->Increment();
    CountRefusal(result.status(), metrics_);
    return;
  }
  model_metrics_->texts->Increment(static_cast<double>(num_texts_));
  model_metrics_->tokens->Increment(static_cast<double>(total_tokens_));
  const auto truncated = std::count(result->truncated.begin(), result->truncated.end(), true);
  if (truncated > 0) model_metrics_->truncated->Increment(static_cast<double>(truncated));
  metrics_->RecordPhases(
      request_.method, model_metrics_->name,
      {.tokenize = result->tokenize_time, .queue = result->queue_time, .inference = result->compute_time});
}

bool Call::CopyText(size_t text_idx, TextBuffer* buffer) {
  MutexLock lock(&mu_);
  if (finished()) return false;
  const TextInput& input = request_.texts[text_idx];
  buffer->text.assign(input.text.data(), input.text.size());
  buffer->is_pair = input.pair.has_value();
  if (input.pair) buffer->pair.assign(input.pair->data(), input.pair->size());
  return true;
}

bool Call::WantsText(size_t text_idx) const {
  return !finished() && text_idx < error_bound_.load(std::memory_order_relaxed);
}

void Call::SetEncoding(size_t text_idx, text::Encoding encoding) { encodings_[text_idx] = std::move(encoding); }

void Call::SetTextError(size_t text_idx, absl::Status error) {
  MutexLock lock(&mu_);
  if (text_idx >= first_error_idx_) return;
  first_error_idx_ = text_idx;
  first_error_ = std::move(error);
  error_bound_.store(text_idx, std::memory_order_relaxed);
}

absl::Status Call::TokenizeError() {
  MutexLock lock(&mu_);
  return first_error_;
}

void Call::ReleaseBytes() {
  MutexLock lock(&mu_);
  bytes_.Reset();
}

void Call::PrepareForCompute(MonotonicTime tokenized_at) {
  tokenized_at_ = tokenized_at;
  texts_to_compute_ = num_texts_;
  response_.served = plan_.model;
  response_.model = plan_.model->name;
  response_.model_version = model().info().version;
  response_.fingerprint = model().info().fingerprint;
  response_.dimensions = static_cast<uint32_t>(plan_.dimensions.value_or(0));
  response_.output_starts.reserve(num_texts_ + 1);
  response_.num_tokens.reserve(num_texts_);
  response_.truncated.reserve(num_texts_);
  size_t output_size = 0;
  for (const text::Encoding& encoding : encodings_) {
    response_.output_starts.push_back(output_size);
    output_size += plan_.dimensions ? *plan_.dimensions : model().OutputSize(encoding.ids.size());
    total_tokens_ += encoding.ids.size();
    response_.num_tokens.push_back(static_cast<uint32_t>(encoding.ids.size()));
    response_.truncated.push_back(encoding.truncated());
  }
  response_.output_starts.push_back(output_size);
  response_.outputs.resize(output_size);
  response_.tokenize_time = tokenized_at - tokenize_start;
  if (trace() != nullptr) trace()->SetNumTokens(total_tokens_);
}

bool Call::SetOutput(size_t text_idx, std::span<const float> output, MonotonicTime batch_start,
                     absl::Duration compute_time) {
  std::copy(output.begin(), output.end(),
            response_.outputs.begin() + static_cast<ptrdiff_t>(response_.output_starts[text_idx]));
  const absl::Duration waited = (tokenize_start - arrival_) + (batch_start - tokenized_at_);
  response_.queue_time = std::max(response_.queue_time, waited);
  response_.compute_time = std::max(response_.compute_time, compute_time);
  return --texts_to_compute_ == 0;
}

void Call::HoldHiddenStates(Admission::Ticket ticket) {
  const size_t hidden_dim = model().info().hidden_dim;
  size_t start = 0;
  hidden_state_starts_.reserve(num_texts_);
  for (const uint32_t num_tokens : response_.num_tokens) {
    hidden_state_starts_.push_back(start);
    start += num_tokens * hidden_dim;
  }
  response_.hidden_states.resize(start);
  MutexLock lock(&mu_);
  if (!finished()) hidden_state_bytes_ = std::move(ticket);
}

void Call::SetHiddenStates(size_t text_idx, MatrixView<const float> hidden_states) {
  float* out = response_.hidden_states.data() + hidden_state_starts_[text_idx];
  for (size_t row = 0; row < hidden_states.rows(); ++row) {
    const std::span<const float> values = hidden_states.Row(row);
    out = std::copy(values.begin(), values.end(), out);
  }
}

bool CallRegistry::Add(const std::shared_ptr<Call>& call) {
  MutexLock lock(&mu_);
  if (closed_) return false;
  call->registry_ = this;
  call->place_ = calls_.insert(calls_.end(), call);
  return true;
}

void CallRegistry::Close() {
  MutexLock lock(&mu_);
  closed_ = true;
}

void CallRegistry::Remove(Call* call) {
  std::shared_ptr<Call> keep;  // destroyed after the lock is released
  MutexLock lock(&mu_);
  keep = std::move(*call->place_);
  calls_.erase(call->place_);
  if (calls_.empty()) empty_.SignalAll();
}

bool CallRegistry::WaitUntilEmpty(absl::Duration timeout) {
  const Clock& clock = SteadyClock::Get();
  const MonotonicTime end = clock.Now() + timeout;
  MutexLock lock(&mu_);
  while (!calls_.empty()) {
    const absl::Duration left = end - clock.Now();
    if (left <= absl::ZeroDuration()) return false;
    // Bounded because a C++ condition variable cannot wait for an infinite duration.
    empty_.WaitWithTimeout(&mu_, std::min(left, absl::Seconds(1)));
  }
  return true;
}

std::vector<std::shared_ptr<Call>> CallRegistry::List() const {
  MutexLock lock(&mu_);
  return {calls_.begin(), calls_.end()};
}

size_t CallRegistry::size() const {
  MutexLock lock(&mu_);
  return calls_.size();
}

}  // namespace octet::serving
