#include "server/cli/embed_scheduler.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "base/check.h"

namespace octet::cli {
namespace {

// Small enough to spread a window over many threads, large enough that taking a task is nothing beside it.
constexpr size_t kTokenizeChunk = 32;

}  // namespace

EmbedScheduler::EmbedScheduler(const model::TextModel* model, const SchedulerOptions& options)
    : model_(model), options_(options) {
  for (int i = 0; i < options.num_threads; ++i) threads_.emplace_back([this] { RunWorker(); });
}

EmbedScheduler::~EmbedScheduler() {
  {
    MutexLock lock(&mu_);
    stop_ = true;
  }
  work_or_stop_.SignalAll();
  for (std::thread& thread : threads_) thread.join();
}

void EmbedScheduler::Submit(std::unique_ptr<EmbedWindow> window) {
  OCTET_CHECK(!window->items.empty());
  window->num_to_tokenize = window->items.size();
  {
    MutexLock lock(&mu_);
    windows_.push_back(std::move(window));
  }
  work_or_stop_.SignalAll();
}

size_t EmbedScheduler::num_windows() const {
  MutexLock lock(&mu_);
  return windows_.size();
}

std::unique_ptr<EmbedWindow> EmbedScheduler::TakeOldest() {
  MutexLock lock(&mu_);
  OCTET_CHECK(!windows_.empty());
  while (!windows_.front()->done()) window_done_.Wait(&mu_);
  std::unique_ptr<EmbedWindow> window = std::move(windows_.front());
  windows_.pop_front();
  return window;
}

bool EmbedScheduler::FindTask(Task* task) {
  for (const auto& window : windows_) {
    if (window->next_batch < window->batches.size()) {
      *task = {.window = window.get(), .is_batch = true, .begin = window->next_batch++};
      return true;
    }
  }
  for (const auto& window : windows_) {
    if (window->next_to_tokenize < window->items.size()) {
      const size_t begin = window->next_to_tokenize;
      const size_t end = std::min(begin + kTokenizeChunk, window->items.size());
      window->next_to_tokenize = end;
      *task = {.window = window.get(), .is_batch = false, .begin = begin, .end = end};
      return true;
    }
  }
  return false;
}

void EmbedScheduler::RunWorker() {
  kernels::ThreadTeam team(1);
  BatchRunner runner(model_, &team);
  for (;;) {
    Task task;
    {
      MutexLock lock(&mu_);
      while (!stop_ && !FindTask(&task)) work_or_stop_.Wait(&mu_);
      if (stop_) return;
    }
    if (task.is_batch) {
      Compute(task, &runner);
    } else {
      Tokenize(task);
    }
  }
}

void EmbedScheduler::Tokenize(const Task& task) {
  model::TokenizeOptions tokenize_options;
  tokenize_options.truncate = options_.truncate;
  tokenize_options.with_offsets = options_.with_offsets;
  for (size_t i = task.begin; i < task.end; ++i) {
    EmbedItem& item = task.window->items[i];
    tokenize_options.prompt_name = item.prompt_name;
    auto encoding = model_->Tokenize(item.input.text, tokenize_options);
    if (encoding.ok()) {
      item.encoding = *std::move(encoding);
      item.truncated = item.encoding.truncated();
      item.num_tokens = item.encoding.ids.size();
    } else {
      item.status = encoding.status();
    }
  }
  bool is_last = false;
  {
    MutexLock lock(&mu_);
    task.window->num_to_tokenize -= task.end - task.begin;
    is_last = task.window->num_to_tokenize == 0;
  }
  // Nobody else touches the window between its last text and its plan.
  if (is_last) Plan(task.window);
}

void EmbedScheduler::Plan(EmbedWindow* window) {
  std::vector<size_t> order;
  for (size_t i = 0; i < window->items.size(); ++i) {
    if (window->items[i].status.ok()) order.push_back(i);
  }
  // Longest first: the short batches at the end fill the gaps between threads.
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return window->items[a].num_tokens > window->items[b].num_tokens; });
  std::vector<std::vector<size_t>> batches;
  size_t num_tokens = 0;
  for (const size_t i : order) {
    const size_t length = window->items[i].num_tokens;
    if (batches.empty() || num_tokens + length > options_.max_batch_tokens) {
      batches.emplace_back();
      num_tokens = 0;
    }
    batches.back().push_back(i);
    num_tokens += length;
  }
  {
    MutexLock lock(&mu_);
    window->num_batches_left = batches.size();
    window->batches = std::move(batches);
    window->planned = true;
  }
  work_or_stop_.SignalAll();
  window_done_.SignalAll();  // a window of errors only is done here
}

void EmbedScheduler::Compute(const Task& task, BatchRunner* runner) {
  EmbedWindow& window = *task.window;
  const std::vector<size_t>& batch = window.batches[task.begin];
  std::vector<int32_t> ids, type_ids;
  std::vector<uint32_t> starts = {0};
  std::vector<size_t> answer_starts = {0};
  for (const size_t i : batch) {
    text::Encoding& encoding = window.items[i].encoding;
    answer_starts.push_back(answer_starts.back() + model_->head().OutputSize(encoding.ids.size()));
    ids.insert(ids.end(), encoding.ids.begin(), encoding.ids.end());
    type_ids.insert(type_ids.end(), encoding.type_ids.begin(), encoding.type_ids.end());
    starts.push_back(static_cast<uint32_t>(ids.size()));
    window.items[i].offsets = std::move(encoding.offsets);
    encoding = {};
  }
  std::vector<float> answers(answer_starts.back());
  const absl::Status status = runner->Run({.ids = ids, .type_ids = type_ids, .starts = starts}, answers);
  for (size_t row = 0; row < batch.size(); ++row) {
    EmbedItem& item = window.items[batch[row]];
    const auto answer = std::span(answers).subspan(answer_starts[row], answer_starts[row + 1] - answer_starts[row]);
    item.status = status.ok() ? runner->Finish(answer) : status;
    if (!item.status.ok()) continue;
    options_.deliver(&item, answer);
  }
  bool is_last = false;
  {
    MutexLock lock(&mu_);
    is_last = --window.num_batches_left == 0;
  }
  if (is_last) window_done_.SignalAll();
}

}  // namespace octet::cli
