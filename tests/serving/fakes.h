// Stand-ins for the model and the clock, and helpers to wait for answers. A fake model makes a token of
// every byte, and its vectors say what it was given, so that tests can check who got which answer.
#ifndef OCTET_TESTS_SERVING_FAKES_H_
#define OCTET_TESTS_SERVING_FAKES_H_

#include <algorithm>
#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/matrix_view.h"
#include "base/mutex.h"
#include "serving/pipeline.h"
#include "serving/request.h"
#include "serving/servable.h"

namespace octet::serving {

class FakeClock final : public Clock {
 public:
  MonotonicTime Now() const override { return absl::Nanoseconds(now_ns_.load()); }
  void Advance(absl::Duration by) { now_ns_.fetch_add(absl::ToInt64Nanoseconds(by)); }

 private:
  std::atomic<int64_t> now_ns_{1'000'000'000};
};

// Threads that Pass wait until it is opened; the test waits until they have come.
class Gate {
 public:
  void Pass() {
    MutexLock lock(&mu_);
    ++arrived_;
    changed_.SignalAll();
    while (!open_) changed_.Wait(&mu_);
  }
  void WaitForArrivals(int count) {
    MutexLock lock(&mu_);
    while (arrived_ < count) changed_.Wait(&mu_);
  }
  void Open() {
    MutexLock lock(&mu_);
    open_ = true;
    changed_.SignalAll();
  }

 private:
  Mutex mu_;
  CondVar changed_;
  int arrived_ ABSL_GUARDED_BY(mu_) = 0;
  bool open_ ABSL_GUARDED_BY(mu_) = false;
};

class FakeWorkspace final : public ServableWorkspace {
 public:
  std::vector<float> hidden_states;  // of the last batch
};

// A copy of what one Compute call was given.
struct SeenBatch {
  std::vector<int32_t> ids, type_ids;
  std::vector<uint32_t> starts;
  size_t num_texts() const { return starts.size() - 1; }
};

class FakeServable final : public Servable {
 public:
  static constexpr uint32_t kHiddenDim = 4;
  using ComputeHook = std::function<absl::Status(const model::PackedBatch&, MatrixView<float>)>;
  using TokenizeHook = std::function<absl::Status(absl::string_view)>;

  explicit FakeServable(uint32_t max_tokens = 512) {
    info_.family = "fake";
    info_.version = "0123456789ab";
    info_.hidden_dim = kHiddenDim;
    info_.vocab_size = 256;
    info_.max_tokens = max_tokens;
    info_.prompt_names = {"query"};
  }

  // Set before the pipeline runs; called at the end of Compute / before Tokenize.
  ComputeHook on_compute;
  TokenizeHook on_tokenize;
  size_t arena_tokens = 1 << 20;

  model::ModelInfo& mutable_info() { return info_; }
  // Makes it a classification model of at most four labels.
  void SetLabels(std::vector<std::string> labels) {
    info_.task = model::Task::kClassification;
    info_.labels = std::move(labels);
  }
  const model::ModelInfo& info() const override { return info_; }
  const model::MemoryUse& memory() const override { return memory_; }
  uint32_t num_token_types() const override { return 2; }
  // Set before the pipeline runs: values of each token instead of the text's four.
  size_t values_per_token = 0;
  size_t OutputSize(size_t num_tokens) const override {
    if (values_per_token > 0) return values_per_token * num_tokens;
    return info_.labels.empty() ? kHiddenDim : info_.labels.size();
  }
  size_t max_batch_tokens() const override { return arena_tokens; }

  absl::StatusOr<text::Encoding> Tokenize(absl::string_view text,
                                          const model::TokenizeOptions& options) const override {
    if (on_tokenize) {
      if (absl::Status status = on_tokenize(text); !status.ok()) return status;
    }
    text::Encoding encoding;
    for (const char c : text) encoding.ids.push_back(static_cast<unsigned char>(c));
    if (encoding.ids.empty()) encoding.ids.push_back(0);
    encoding.num_tokens_before_truncation = encoding.ids.size();
    if (encoding.ids.size() > info_.max_tokens) {
      if (!options.truncate) {
        return absl::InvalidArgumentError(
            absl::StrCat("more than ", info_.max_tokens, " tokens, limit ", info_.max_tokens));
      }
      encoding.ids.resize(info_.max_tokens);
    }
    encoding.type_ids.assign(encoding.ids.size(), 0);
    return encoding;
  }

  // The ids of both texts, the second's with type 1.
  absl::StatusOr<text::Encoding> TokenizePair(absl::string_view first, absl::string_view second,
                                              const model::TokenizeOptions& options) const override {
    auto encoding = Tokenize(absl::StrCat(first, second), options);
    if (!encoding.ok()) return encoding;
    for (size_t i = first.size(); i < encoding->type_ids.size(); ++i) encoding->type_ids[i] = 1;
    return encoding;
  }

  std::unique_ptr<ServableWorkspace> NewWorkspace(kernels::ThreadTeam*) const override {
    return std::make_unique<FakeWorkspace>();
  }

  // A row is {tokens of the text, first id, last id, 1}, as many of them as there are labels, if there are any; with
  // values_per_token, each value is its token's id.
  absl::Status Compute(const model::PackedBatch& batch, ServableWorkspace* workspace,
                       std::span<float> outputs) const override {
    SetHiddenStates(batch, &static_cast<FakeWorkspace*>(workspace)->hidden_states);
    if (values_per_token > 0) {
      for (size_t i = 0; i < outputs.size(); ++i) outputs[i] = static_cast<float>(batch.ids[i / values_per_token]);
      return absl::OkStatus();
    }
    const MatrixView<float> rows(outputs.data(), batch.num_texts(), OutputSize(1));
    for (size_t t = 0; t < batch.num_texts(); ++t) {
      const uint32_t begin = batch.starts[t], end = batch.starts[t + 1];
      const std::span<float> row = rows.Row(t);
      const float values[kHiddenDim] = {static_cast<float>(end - begin), static_cast<float>(batch.ids[begin]),
                                        static_cast<float>(batch.ids[end - 1]), 1};
      std::copy_n(values, row.size(), row.begin());
    }
    {
      MutexLock lock(&mu_);
      seen_.push_back({{batch.ids.begin(), batch.ids.end()},
                       {batch.type_ids.begin(), batch.type_ids.end()},
                       {batch.starts.begin(), batch.starts.end()}});
    }
    return on_compute ? on_compute(batch, rows) : absl::OkStatus();
  }

  // Set before the pipeline runs: each of a token's four hidden states; the id itself without it.
  std::function<float(int32_t)> hidden_state_of_id;
  MatrixView<const float> HiddenStates(const ServableWorkspace& workspace) const override {
    const auto& states = static_cast<const FakeWorkspace&>(workspace).hidden_states;
    return {states.data(), states.size() / kHiddenDim, kHiddenDim};
  }

  // Set before the pipeline runs: what a counting pass says; absent: no fixed ranges.
  std::optional<model::ClippingCount> clipping;
  bool has_fixed_ranges() const override { return clipping.has_value(); }
  absl::Status ComputeCountingClipped(const model::PackedBatch& batch, ServableWorkspace* workspace,
                                      std::span<float> outputs, model::ClippingCount* count) const override {
    *count = *clipping;
    return Compute(batch, workspace, outputs);
  }

  // Every batch so far, warm-up included.
  std::vector<SeenBatch> seen() const {
    MutexLock lock(&mu_);
    return seen_;
  }

 private:
  void SetHiddenStates(const model::PackedBatch& batch, std::vector<float>* states) const {
    states->clear();
    for (const int32_t id : batch.ids) {
      states->insert(states->end(), kHiddenDim, hidden_state_of_id ? hidden_state_of_id(id) : static_cast<float>(id));
    }
  }

  model::ModelInfo info_;
  model::MemoryUse memory_;
  mutable Mutex mu_;
  mutable std::vector<SeenBatch> seen_ ABSL_GUARDED_BY(mu_);
};

// The answers of submitted calls, in the order of submission.
class Answers {
 public:
  // For Submit; every answer is kept, and a second one for the same call is counted.
  RequestDone Next() {
    MutexLock lock(&mu_);
    slots_.emplace_back();
    return [this, idx = slots_.size() - 1](absl::StatusOr<Response> result) {
      MutexLock inner(&mu_);
      slots_[idx].push_back(std::move(result));
      changed_.SignalAll();
    };
  }

  // The answer of call `idx`, waiting for it.
  absl::StatusOr<Response> Get(size_t idx) {
    MutexLock lock(&mu_);
    while (slots_[idx].empty()) changed_.Wait(&mu_);
    return slots_[idx].front();
  }
  bool Has(size_t idx) const {
    MutexLock lock(&mu_);
    return !slots_[idx].empty();
  }
  // Waits for all; how many calls had more than one answer.
  size_t WaitForAllCountDoubles() {
    size_t doubles = 0;
    MutexLock lock(&mu_);
    for (auto& slot : slots_) {
      while (slot.empty()) changed_.Wait(&mu_);
      doubles += slot.size() > 1;
    }
    return doubles;
  }
  size_t CountCode(absl::StatusCode code) const {
    size_t count = 0;
    MutexLock lock(&mu_);
    for (const auto& slot : slots_) count += !slot.empty() && slot.front().status().code() == code;
    return count;
  }

 private:
  mutable Mutex mu_;
  CondVar changed_;
  std::vector<std::vector<absl::StatusOr<Response>>> slots_ ABSL_GUARDED_BY(mu_);
};

}  // namespace octet::serving

#endif  // OCTET_TESTS_SERVING_FAKES_H_
