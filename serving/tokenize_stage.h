// The threads that turn texts into token ids. Calls take turns, a few texts at a time, so that a call of
// many texts is tokenized by all threads at once and one of a single text does not wait behind it. Between
// texts they also run finished calls' answers for the compute worker. Thread-safe.
#ifndef OCTET_SERVING_TOKENIZE_STAGE_H_
#define OCTET_SERVING_TOKENIZE_STAGE_H_

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "serving/call.h"
#include "serving/heartbeat.h"

namespace octet::serving {

class TokenizeStage {
 public:
  using Answer = absl::AnyInvocable<void() &&>;
  // Called on the thread that dealt with a call's last text: with all encodings set, or an error.
  using Tokenized = std::function<void(std::shared_ptr<Call>)>;

  TokenizeStage(const Clock* clock, Tokenized tokenized) : clock_(clock), tokenized_(std::move(tokenized)) {}
  ~TokenizeStage() { Stop(); }

  void Start(int num_threads, Heartbeats* heartbeats);

  // True when a thread was idle.
  bool Push(std::shared_ptr<Call> call);
  // Tokenizes the whole call on the calling thread. `buffer`: scratch.
  void TokenizeHere(const std::shared_ptr<Call>& call, TextBuffer* buffer);
  // The same on one thread at a time that is none of the pipeline's; false while another does so.
  bool TryTokenizeHere(const std::shared_ptr<Call>& call);
  // Runs `answer` on one of the threads, before further texts.
  void PostAnswer(Answer answer);

  // Takes out and returns calls that are cancelled or expired and of which no text is begun. `left` (may
  // be null): how many calls still wait.
  std::vector<std::shared_ptr<Call>> Sweep(size_t* left);

  // Runs posted answers, leaves texts, joins the threads.
  void Stop();

  // When the first waiting call came, if a thread is idle beside it.
  std::optional<MonotonicTime> WaitingBesideIdleThread() const;

 private:
  struct Chunk {
    std::shared_ptr<Call> call;
    size_t begin = 0, end = 0;  // texts
  };

  void RunThread(Heartbeat* beat);
  Chunk TakeChunk() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Tokenize(const Chunk& chunk, TextBuffer* buffer);
  void TokenizeText(Call* call, size_t text_idx, TextBuffer* buffer);

  const Clock* const clock_;
  const Tokenized tokenized_;
  mutable Mutex mu_;
  CondVar wake_;
  std::deque<std::shared_ptr<Call>> calls_ ABSL_GUARDED_BY(mu_);  // each with texts nobody has begun
  std::deque<Answer> answers_ ABSL_GUARDED_BY(mu_);
  size_t num_idle_ ABSL_GUARDED_BY(mu_) = 0;
  bool stopped_ ABSL_GUARDED_BY(mu_) = false;
  std::vector<std::thread> threads_;  // set by Start, joined by Stop
  Mutex here_mu_;                     // of the thread in TryTokenizeHere
  TextBuffer here_buffer_ ABSL_GUARDED_BY(here_mu_);
  Heartbeat* here_beat_ = nullptr;  // set by Start
};

}  // namespace octet::serving

#endif  // OCTET_SERVING_TOKENIZE_STAGE_H_
