#include "serving/tokenize_stage.h"

#include <algorithm>
#include <exception>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/rounding.h"

namespace octet::serving {
namespace {

// Texts that a thread takes at once: 8 short ones are about 200 us of work, a hundred times what taking
// them costs.
constexpr size_t kChunkTexts = 8;
// What the caller reads. The tokenizer's own words are kept only for what is wrong with the input; they
// name counts and positions, never content.
absl::Status TextError(const Call& call, size_t text_idx, const absl::Status& status) {
  constexpr size_t kMaxMessageBytes = 200;  // with the field name below the wire's 256
  const std::string name = absl::StrCat(call.texts_name(), "[", text_idx, "]: ");
  if (!absl::IsInvalidArgument(status)) return absl::InternalError(absl::StrCat(name, "tokenizer failed"));
  const bool too_long = absl::StrContains(status.message(), "tokens, limit");
  return WithReason(absl::InvalidArgumentError(absl::StrCat(name, status.message().substr(0, kMaxMessageBytes))),
                    too_long ? kReasonTooLong : kReasonInvalid);
}

absl::StatusOr<text::Encoding> Encode(const Call& call, const TextBuffer& input) {
  const Servable& model = call.model();
  return input.is_pair ? model.TokenizePair(input.text, input.pair, call.tokenize_options())
                       : model.Tokenize(input.text, call.tokenize_options());
}

}  // namespace

void TokenizeStage::Start(int num_threads, Heartbeats* heartbeats) {
  for (int i = 0; i < num_threads; ++i) {
    Heartbeat* beat = heartbeats->Add(absl::StrCat("tokenizer ", i));
    threads_.emplace_back([this, beat] { RunThread(beat); });
  }
  here_beat_ = heartbeats->Add("tokenizing caller");
}

bool TokenizeStage::Push(std::shared_ptr<Call> call) {
  size_t num_to_wake;
  {
    MutexLock lock(&mu_);
    num_to_wake = std::min(num_idle_, DivideUp(call->num_texts(), kChunkTexts));
    calls_.push_back(std::move(call));
  }
  for (size_t i = 0; i < num_to_wake; ++i) wake_.Signal();
  return num_to_wake > 0;
}

void TokenizeStage::PostAnswer(Answer answer) {
  {
    MutexLock lock(&mu_);
    if (!stopped_) {
      answers_.push_back(std::move(answer));
      answer = nullptr;
    }
  }
  wake_.Signal();
  if (answer) std::move(answer)();
}

void TokenizeStage::TokenizeHere(const std::shared_ptr<Call>& call, TextBuffer* buffer) {
  call->tokenize_start = clock_->Now();
  Tokenize({call, 0, call->num_texts()}, buffer);
}

bool TokenizeStage::TryTokenizeHere(const std::shared_ptr<Call>& call) {
  if (!here_mu_.TryLock()) return false;
  {
    BusyScope busy(here_beat_);
    TokenizeHere(call, &here_buffer_);
  }
  here_mu_.Unlock();
  return true;
}

TokenizeStage::Chunk TokenizeStage::TakeChunk() {
  Chunk chunk;
  chunk.call = std::move(calls_.front());
  calls_.pop_front();
  chunk.begin = chunk.call->next_text_to_tokenize;
  chunk.end = std::min(chunk.begin + kChunkTexts, chunk.call->num_texts());
  if (chunk.begin == 0) chunk.call->tokenize_start = clock_->Now();
  chunk.call->next_text_to_tokenize = chunk.end;
  if (chunk.end < chunk.call->num_texts()) calls_.push_back(chunk.call);  // behind the others
  return chunk;
}

void TokenizeStage::RunThread(Heartbeat* beat) {
  TextBuffer buffer;
  while (true) {
    Answer answer;
    Chunk chunk;
    {
      MutexLock lock(&mu_);
      while (answers_.empty() && calls_.empty() && !stopped_) {
        ++num_idle_;
        wake_.WaitWithTimeout(&mu_, kIdleTick);
        --num_idle_;
      }
      if (!answers_.empty()) {
        answer = std::move(answers_.front());
        answers_.pop_front();
      } else if (stopped_) {
        return;
      } else {
        chunk = TakeChunk();
      }
    }
    BusyScope busy(beat);
    if (answer) {
      std::move(answer)();
    } else {
      Tokenize(chunk, &buffer);
    }
  }
}

void TokenizeStage::Tokenize(const Chunk& chunk, TextBuffer* buffer) {
  Call* const call = chunk.call.get();
  if (const absl::Status wanted = call->CheckWanted(clock_->Now()); !wanted.ok()) call->Finish(wanted);
  for (size_t i = chunk.begin; i < chunk.end; ++i) TokenizeText(call, i, buffer);
  if (call->TextsTokenized(chunk.end - chunk.begin)) tokenized_(chunk.call);
}

void TokenizeStage::TokenizeText(Call* call, size_t text_idx, TextBuffer* buffer) {
  if (!call->WantsText(text_idx)) return;
  // No exception may end the thread: running out of memory must cost this call only.
  try {
    if (!call->CopyText(text_idx, buffer)) return;
    auto encoding = Encode(*call, *buffer);
    if (!encoding.ok()) {
      call->SetTextError(text_idx, TextError(*call, text_idx, encoding.status()));
    } else if (encoding->ids.empty()) {
      call->SetTextError(text_idx, TextError(*call, text_idx, absl::InternalError("no tokens")));
    } else {
      call->SetEncoding(text_idx, *std::move(encoding));
    }
  } catch (const std::exception&) {
    call->SetTextError(text_idx, TextError(*call, text_idx, absl::InternalError("exception")));
  }
}

std::vector<std::shared_ptr<Call>> TokenizeStage::Sweep(size_t* left) {
  std::vector<std::shared_ptr<Call>> dropped;
  const MonotonicTime now = clock_->Now();
  MutexLock lock(&mu_);
  std::erase_if(calls_, [&](const std::shared_ptr<Call>& call) {
    // A begun call is left to the threads: they count its texts and find that it is not wanted.
    if (call->next_text_to_tokenize > 0) return false;
    if (call->finished()) return true;
    if (call->CheckWanted(now).ok()) return false;
    dropped.push_back(call);
    return true;
  });
  if (left != nullptr) *left = calls_.size();
  return dropped;
}

void TokenizeStage::Stop() {
  {
    MutexLock lock(&mu_);
    stopped_ = true;
  }
  wake_.SignalAll();
  for (std::thread& thread : threads_) {
    if (thread.joinable()) thread.join();
  }
}

std::optional<MonotonicTime> TokenizeStage::WaitingBesideIdleThread() const {
  MutexLock lock(&mu_);
  if (num_idle_ == 0 || calls_.empty()) return std::nullopt;
  return calls_.front()->arrival();
}

}  // namespace octet::serving
