// One accepted request on its way through the pipeline, and the list of all that are on their way.
// Whoever finishes a call first decides its answer; every later attempt is ignored, so `done` runs exactly
// once on every path. Texts are read under the call's lock and copied out, so that an answer never waits
// for a tokenizer. Threads: see each group.
#ifndef OCTET_SERVING_CALL_H_
#define OCTET_SERVING_CALL_H_

#include <atomic>
#include <cstdint>
#include <list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/matrix_view.h"
#include "base/mutex.h"
#include "model/text_model.h"
#include "serving/admission.h"
#include "serving/call_trace.h"
#include "serving/metrics.h"
#include "serving/model_repository.h"
#include "serving/request.h"
#include "text/tokenizer.h"

namespace octet::serving {

class CallRegistry;

// What checking a request yields.
struct CallPlan {
  std::shared_ptr<const ServedModel> model;
  std::optional<size_t> dimensions;  // of each embedding; absent for other tasks, whose outputs stay whole
  bool normalize = false;            // of embeddings
  size_t text_bytes = 0;
};

// A text or pair copied out of a call; kept for its memory.
struct TextBuffer {
  std::string text, pair;
  bool is_pair = false;
};

class Call {
 public:
  Call(Request request, RequestDone done, CallPlan plan, MonotonicTime arrival, Admission::Ticket bytes,
       Metrics* metrics);

  // Immutable.
  const ServedModel& served() const { return *plan_.model; }
  const Servable& model() const { return *plan_.model->model; }
  const CallPlan& plan() const { return plan_; }
  size_t num_texts() const { return num_texts_; }
  bool has_token_ids() const { return has_token_ids_; }  // given, nothing to tokenize
  bool wants_hidden_states() const { return request_.with_hidden_states; }
  const char* texts_name() const { return request_.texts_name; }
  MonotonicTime arrival() const { return arrival_; }
  MonotonicTime deadline() const { return request_.deadline; }
  const model::TokenizeOptions& tokenize_options() const { return tokenize_options_; }
  ModelMetrics* metrics() const { return model_metrics_; }
  CallTrace* trace() const { return request_.trace.get(); }  // null: nobody wants the times

  // Any thread.
  bool finished() const { return finished_.load(std::memory_order_acquire); }
  bool cancelled() const {
    return request_.cancelled != nullptr && request_.cancelled->load(std::memory_order_acquire);
  }
  // Cancelled or DeadlineExceeded if nobody waits for the answer any more, else OK.
  absl::Status CheckWanted(MonotonicTime now) const;
  // Answers the call unless it has been answered. True when this was the answer.
  bool Finish(absl::StatusOr<Response> result);

  // Tokenizing: any thread, each text by one.
  // Copies a text into `buffer`; false when the call is finished and the texts may be gone.
  bool CopyText(size_t text_idx, TextBuffer* buffer);
  bool WantsText(size_t text_idx) const;  // false after an error in an earlier text
  void SetEncoding(size_t text_idx, text::Encoding encoding);
  void SetTextError(size_t text_idx, absl::Status error);
  // Marks `num_texts` as dealt with; true for the thread that dealt with the last one.
  bool TextsTokenized(size_t num_texts) {
    return texts_to_tokenize_.fetch_sub(num_texts, std::memory_order_acq_rel) == num_texts;
  }

  // After the last text is tokenized: one thread at a time, handed over by the queues' locks.
  // The error of the lowest text, or OK.
  absl::Status TokenizeError();
  void ReleaseBytes();
  // Sums up the tokens and makes room for the outputs.
  void PrepareForCompute(MonotonicTime tokenized_at);
  // After PrepareForCompute: bytes of the hidden states of all tokens, and making room for them, which `ticket` admits.
  size_t hidden_state_bytes() const { return total_tokens_ * model().info().hidden_dim * sizeof(float); }
  void HoldHiddenStates(Admission::Ticket ticket);
  std::span<const uint32_t> text_tokens() const { return response_.num_tokens; }
  size_t total_tokens() const { return total_tokens_; }
  const text::Encoding& encoding(size_t text_idx) const { return encodings_[text_idx]; }

  // Compute worker only. The finished outputs of a text and its batch's times; true when it was the call's last.
  bool SetOutput(size_t text_idx, std::span<const float> output, MonotonicTime batch_start,
                 absl::Duration compute_time);
  // Before SetOutput of the text, if the call wants them: [tokens of the text, hidden_dim].
  void SetHiddenStates(size_t text_idx, MatrixView<const float> hidden_states);
  Response TakeResponse() { return std::move(response_); }

  // Set by the tokenize stage under its lock.
  MonotonicTime tokenize_start;
  size_t next_text_to_tokenize = 0;

 private:
  friend class CallRegistry;
  void Count(const absl::StatusOr<Response>& result) const;

  Request request_;  // immutable but for `encodings`, which are moved to encodings_
  const CallPlan plan_;
  const size_t num_texts_;
  const bool has_token_ids_;
  const MonotonicTime arrival_;
  model::TokenizeOptions tokenize_options_;
  Metrics* const metrics_;
  ModelMetrics* const model_metrics_;

  Mutex mu_;
  RequestDone done_ ABSL_GUARDED_BY(mu_);
  Admission::Ticket bytes_ ABSL_GUARDED_BY(mu_);
  Admission::Ticket hidden_state_bytes_ ABSL_GUARDED_BY(mu_);
  size_t first_error_idx_ ABSL_GUARDED_BY(mu_);
  absl::Status first_error_ ABSL_GUARDED_BY(mu_);
  std::atomic<bool> finished_{false};
  std::atomic<size_t> error_bound_;  // = first_error_idx_, read without the lock
  std::atomic<size_t> texts_to_tokenize_;

  std::vector<text::Encoding> encodings_;
  std::vector<size_t> hidden_state_starts_;  // [num_texts] in response_.hidden_states, if the call wants them
  size_t total_tokens_ = 0;
  size_t texts_to_compute_ = 0;
  MonotonicTime tokenized_at_;
  Response response_;

  CallRegistry* registry_ = nullptr;  // set before the call is shared
  std::list<std::shared_ptr<Call>>::iterator place_;
};

// Calls that are accepted and not answered. Thread-safe.
class CallRegistry {
 public:
  // False once closed; the call is then not kept.
  bool Add(const std::shared_ptr<Call>& call);
  void Close();
  // Waits until every call is answered; false when `timeout` (real time) passed first.
  bool WaitUntilEmpty(absl::Duration timeout);
  std::vector<std::shared_ptr<Call>> List() const;
  size_t size() const;

 private:
  friend class Call;
  void Remove(Call* call);

  mutable Mutex mu_;
  CondVar empty_;
  bool closed_ ABSL_GUARDED_BY(mu_) = false;
  std::list<std::shared_ptr<Call>> calls_ ABSL_GUARDED_BY(mu_);
};

// Counts a refusal by the reason that its status carries, if any.
void CountRefusal(const absl::Status& status, Metrics* metrics);

}  // namespace octet::serving

#endif  // OCTET_SERVING_CALL_H_
