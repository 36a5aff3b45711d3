#include "server/tracing/span_processor.h"

#include <algorithm>
#include <utility>

#include "base/clock.h"

namespace octet::tracing {
namespace {

constexpr int kMaxAttempts = 3;

MonotonicTime Now() { return SteadyClock::Get().Now(); }

}  // namespace

SpanProcessor::SpanProcessor(const ProcessorOptions& options, std::unique_ptr<SpanExporter> exporter,
                             serving::Metrics* metrics, const std::string& collector)
    : options_(options), exporter_(std::move(exporter)), metrics_(metrics), log_(collector) {
  thread_ = std::thread([this] { Run(); });
}

void SpanProcessor::SetServerAddress(ServerAddress address) {
  MutexLock lock(&mu_);
  address_ = std::move(address);
}

void SpanProcessor::Push(CallRecord record) {
  const size_t num_spans = NumSpans(record);
  bool is_full_batch = false;
  {
    MutexLock lock(&mu_);
    if (!is_stopping_ && num_queued_spans_ + num_spans <= options_.max_queue_spans) {
      const bool was_full_batch = num_queued_spans_ >= options_.max_batch_spans;
      num_queued_spans_ += num_spans;
      queue_.push_back(std::move(record));
      is_full_batch = !was_full_batch && num_queued_spans_ >= options_.max_batch_spans;
    } else {
      metrics_->RecordSpans(serving::SpanResult::kDropped, num_spans);
    }
  }
  if (is_full_batch) wake_.Signal();
}

void SpanProcessor::Run() {
  std::vector<CallRecord> batch;
  while (Take(&batch)) ExportBatch(batch);
  MutexLock lock(&mu_);
  is_done_ = true;
  changed_.SignalAll();
}

bool SpanProcessor::Take(std::vector<CallRecord>* batch) {
  batch->clear();
  const MonotonicTime due = Now() + options_.export_interval;
  MutexLock lock(&mu_);
  while (!is_stopping_ && num_queued_spans_ < options_.max_batch_spans) {
    const absl::Duration left = due - Now();
    if (left <= absl::ZeroDuration()) break;
    wake_.WaitWithTimeout(&mu_, left);
  }
  size_t num_spans = 0;
  while (!queue_.empty() && num_spans < options_.max_batch_spans) {
    num_spans += NumSpans(queue_.front());
    batch->push_back(std::move(queue_.front()));
    queue_.pop_front();
  }
  num_queued_spans_ -= num_spans;
  return !batch->empty() || !is_stopping_;
}

void SpanProcessor::ExportBatch(const std::vector<CallRecord>& batch) {
  if (batch.empty()) return;
  ServerAddress address;
  {
    MutexLock lock(&mu_);
    address = address_;
  }
  std::vector<Span> spans;
  for (const CallRecord& record : batch) AppendSpans(record, address, &spans);
  absl::Duration delay = options_.retry_delay;
  for (int attempt = 1;; ++attempt) {
    const absl::Duration timeout = TimeLeft();
    if (timeout <= absl::ZeroDuration()) {
      return metrics_->RecordSpans(attempt == 1 ? serving::SpanResult::kDropped : serving::SpanResult::kFailed,
                                   spans.size());
    }
    const ExportResult result = exporter_->Export(spans, timeout);
    log_.Note(result, spans.size());
    if (result.status.ok()) {
      const size_t num_rejected = std::min(result.num_rejected, spans.size());
      metrics_->RecordSpans(serving::SpanResult::kExported, spans.size() - num_rejected);
      return metrics_->RecordSpans(serving::SpanResult::kFailed, num_rejected);
    }
    if (!result.may_try_again || attempt == kMaxAttempts || !Pause(delay)) {
      return metrics_->RecordSpans(serving::SpanResult::kFailed, spans.size());
    }
    delay *= 2;
  }
}

absl::Duration SpanProcessor::TimeLeft() const {
  MutexLock lock(&mu_);
  return is_stopping_ ? std::min(options_.timeout, flush_end_ - Now()) : options_.timeout;
}

bool SpanProcessor::Pause(absl::Duration duration) {
  const MonotonicTime end = Now() + duration;
  MutexLock lock(&mu_);
  while (!is_stopping_) {
    const absl::Duration left = end - Now();
    if (left <= absl::ZeroDuration()) return true;
    wake_.WaitWithTimeout(&mu_, left);
  }
  return false;
}

void SpanProcessor::Stop(absl::Duration timeout) {
  MutexLock stop_lock(&stop_mu_);
  if (!thread_.joinable()) return;
  const MonotonicTime end = Now() + timeout;
  {
    MutexLock lock(&mu_);
    is_stopping_ = true;
    flush_end_ = end;
    wake_.SignalAll();
    while (!is_done_) {
      const absl::Duration left = end - Now();
      if (left <= absl::ZeroDuration()) break;
      // Bounded because a C++ condition variable cannot wait for an infinite duration.
      changed_.WaitWithTimeout(&mu_, std::min(left, absl::Seconds(1)));
    }
  }
  exporter_->Cancel();
  thread_.join();
}

}  // namespace octet::tracing
