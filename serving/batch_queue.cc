#include "serving/batch_queue.h"

#include <algorithm>
#include <cstddef>
#include <utility>

#include "serving/heartbeat.h"

namespace octet::serving {
namespace {

uint64_t ModelKey(const Call& call) { return reinterpret_cast<uintptr_t>(&call.model()); }

}  // namespace

bool BatchQueue::Push(std::shared_ptr<Call> call, Admission::Ticket ticket) {
  bool was_idle;
  {
    MutexLock lock(&mu_);
    entries_.push_back({.call = std::move(call), .ticket = std::move(ticket), .enqueued = clock_->Now()});
    was_idle = worker_idle_;
  }
  if (was_idle) wake_worker_.Signal();
  return was_idle;
}

bool BatchQueue::TryHandToIdleWorker(const std::shared_ptr<Call>& call) {
  {
    MutexLock lock(&mu_);
    if (!worker_idle_ || handed_ != nullptr || !entries_.empty() || stopped_) return false;
    handed_ = call;
    worker_idle_ = false;
  }
  wake_worker_.Signal();
  return true;
}

BatchWork BatchQueue::Take(absl::Duration spare_after) {
  BatchWork work;
  bool has_waited = false;  // for spare_after, and nothing has woken it
  MutexLock lock(&mu_);
  while (true) {
    if (handed_ != nullptr) {
      work.to_tokenize = std::move(handed_);
      return work;
    }
    if (stopped_) {
      work.stopped = true;
      return work;
    }
    absl::Duration wait = kIdleTick;
    DropFinished();
    if (!entries_.empty()) {
      work.cut_at = clock_->Now();
      const BatchCut cut = Cut(work.cut_at);
      Apply(cut, &work);
      if (!work.texts.empty() || !work.dropped.empty()) return work;
      if (cut.wait_until) wait = std::min(wait, *cut.wait_until - work.cut_at);
    } else if (has_waited) {
      work.is_spare = true;
      return work;
    } else {
      wait = std::min(wait, spare_after);
    }
    worker_idle_ = true;
    has_waited = wake_worker_.WaitWithTimeout(&mu_, wait) && wait == spare_after;
    worker_idle_ = false;
  }
}

void BatchQueue::DropFinished() {
  std::erase_if(entries_, [](const Entry& entry) { return entry.call->finished(); });
}

BatchCut BatchQueue::Cut(MonotonicTime now) {
  view_.clear();
  for (const Entry& entry : entries_) {
    view_.push_back({.model_key = ModelKey(*entry.call),
                     .enqueued = entry.enqueued,
                     .deadline = entry.call->deadline(),
                     .cancelled = entry.call->cancelled(),
                     .text_tokens = entry.call->text_tokens().subspan(entry.next_text)});
  }
  return CutBatch(options_, view_, now, last_model_key_);
}

void BatchQueue::Apply(const BatchCut& cut, BatchWork* work) {
  for (const BatchPart& part : cut.parts) {
    Entry& entry = entries_[part.call_idx];
    size_t tokens = 0;
    for (size_t i = 0; i < part.num_texts; ++i) {
      tokens += view_[part.call_idx].text_tokens[i];
      work->texts.push_back({entry.call, entry.next_text++});
    }
    entry.ticket.GiveBack(tokens, part.num_texts);
  }
  if (!cut.parts.empty()) last_model_key_ = cut.model_key;
  std::vector<bool> remove(entries_.size());
  for (const auto* dropped : {&cut.cancelled, &cut.expired}) {
    for (const size_t idx : *dropped) {
      remove[idx] = true;
      work->dropped.push_back(entries_[idx].call);
    }
  }
  size_t kept = 0;
  for (size_t i = 0; i < entries_.size(); ++i) {
    if (remove[i] || entries_[i].next_text == entries_[i].call->num_texts()) continue;
    if (kept != i) entries_[kept] = std::move(entries_[i]);
    ++kept;
  }
  entries_.erase(entries_.begin() + static_cast<ptrdiff_t>(kept), entries_.end());
}

std::vector<std::shared_ptr<Call>> BatchQueue::Sweep(size_t* left) {
  std::vector<std::shared_ptr<Call>> dropped;
  const MonotonicTime now = clock_->Now();
  MutexLock lock(&mu_);
  DropFinished();
  std::erase_if(entries_, [&](const Entry& entry) {
    if (!entry.call->cancelled() && entry.call->deadline() > now) return false;
    dropped.push_back(entry.call);
    return true;
  });
  if (left != nullptr) *left = entries_.size();
  return dropped;
}

void BatchQueue::Stop() {
  {
    MutexLock lock(&mu_);
    stopped_ = true;
  }
  wake_worker_.Signal();
}

bool BatchQueue::Empty() const {
  MutexLock lock(&mu_);
  return entries_.empty();
}

std::optional<MonotonicTime> BatchQueue::OldestEnqueued() const {
  MutexLock lock(&mu_);
  if (entries_.empty()) return std::nullopt;
  return entries_.front().enqueued;
}

std::optional<MonotonicTime> BatchQueue::WaitingBesideIdleWorker() const {
  MutexLock lock(&mu_);
  if (entries_.empty() || !worker_idle_) return std::nullopt;
  return entries_.front().enqueued;
}

}  // namespace octet::serving
