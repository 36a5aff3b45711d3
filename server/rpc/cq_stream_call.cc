// A bidirectional stream, each message of which is a request of its own.
#include <algorithm>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "grpcpp/support/async_stream.h"
#include "server/rpc/cq_call_base.h"

namespace octet::rpc {
namespace {

// At most max_stream_messages are read and not yet answered on the wire; then
// reading pauses, and flow control makes the client wait.
class StreamCall final : public CallBase, public std::enable_shared_from_this<StreamCall> {
 public:
  explicit StreamCall(CallSource* source) : CallBase(source), stream_(&context_) {}

  void Post() {
    context_.AsyncNotifyWhenDone(done_.Start(shared_from_this()));
    source_->service->RequestAsyncBidiStreaming(source_->method_idx, &context_, &stream_, source_->queue,
                                                source_->queue, received_.Start(shared_from_this()));
  }

 private:
  // One message's place in the order of answers.
  struct Slot {
    uint64_t number;
    std::optional<absl::StatusOr<grpc::ByteBuffer>> answer;
  };

  void OnReceived(bool ok) {
    if (!ok) {
      done_.Forget();
      return CallEnded(source_);
    }
    Begin();
    MutexLock lock(&mu_);
    ReadNext();
  }

  void OnRead(bool ok) {
    uint64_t number;
    {
      MutexLock lock(&mu_);
      reading_ = false;
      if (!ok) {
        half_closed_ = true;
        return Pump();
      }
      if (end_) return;  // the stream ends with an error; what still comes is not looked at
      number = next_number_++;
      slots_.push_back({number, std::nullopt});
    }
    MessageWatch watch = BeginMessage(number + 1);
    const std::shared_ptr<serving::CallTrace> trace = watch.trace;
    Call call = MakeCall(std::exchange(message_, {}),
                         [self = shared_from_this(), number, watch = std::move(watch)](auto answer, auto label) {
                           self->EndMessage(watch, answer.status(), label);
                           self->Answer(number, std::move(answer), label);
                         });
    call.trace = trace;
    source_->method().handler(std::move(call));
    MutexLock lock(&mu_);
    ReadNext();
  }

  void Answer(uint64_t number, absl::StatusOr<grpc::ByteBuffer> answer, absl::string_view model_label) {
    MutexLock lock(&mu_);
    model_label_.assign(model_label.data(), model_label.size());
    const auto slot =
        std::find_if(slots_.begin(), slots_.end(), [number](const Slot& s) { return s.number == number; });
    slot->answer = std::move(answer);
    Pump();
  }

  void OnWritten(bool ok) {
    MutexLock lock(&mu_);
    writing_ = false;
    if (!ok) broken_ = true;
    ReadNext();
    Pump();
  }

  void OnFinished(bool) { CallEnded(source_); }

  void OnDone(bool) {
    if (context_.IsCancelled()) cancelled_->store(true, std::memory_order_release);
  }

  // Reads another message unless one is being read or enough are in work.
  void ReadNext() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    const size_t in_work = slots_.size() + (writing_ ? 1 : 0);
    if (reading_ || half_closed_ || end_ || in_work >= source_->max_stream_messages) return;
    reading_ = true;
    stream_.Read(&message_, read_.Start(shared_from_this()));
  }

  // Writes the next answer that may go, or ends the stream when there is nothing more to come.
  void Pump() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    if (writing_ || finishing_) return;
    while (!slots_.empty()) {
      const bool ordered = source_->method().kind == MethodKind::kOrderedStream;
      const auto ready =
          ordered ? (slots_.front().answer ? slots_.begin() : slots_.end())
                  : std::find_if(slots_.begin(), slots_.end(), [](const Slot& s) { return s.answer.has_value(); });
      if (ready == slots_.end()) return;
      absl::StatusOr<grpc::ByteBuffer> answer = *std::move(ready->answer);
      slots_.erase(ready);
      if (end_ || broken_) continue;  // after an error, or nobody to write to
      if (!answer.ok()) {
        end_ = answer.status();
        continue;
      }
      writing_ = true;
      return stream_.Write(*answer, write_.Start(shared_from_this()));
    }
    // Without a reader nothing else would notice that the client has gone.
    if (half_closed_ || end_ || (broken_ && !reading_)) Finish();
  }

  void Finish() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    finishing_ = true;
    absl::Status status = end_.value_or(absl::OkStatus());
    if (status.ok() && cancelled_->load(std::memory_order_acquire)) {
      status = absl::CancelledError("the client has gone");
    }
    stream_.Finish(Conclude(status, model_label_), finished_.Start(shared_from_this()));
  }

  grpc::ServerAsyncReaderWriter<grpc::ByteBuffer, grpc::ByteBuffer> stream_;
  grpc::ByteBuffer message_;  // written by the read in flight, taken by OnRead
  Operation<StreamCall> received_{&StreamCall::OnReceived};
  Operation<StreamCall> read_{&StreamCall::OnRead};
  Operation<StreamCall> write_{&StreamCall::OnWritten};
  Operation<StreamCall> finished_{&StreamCall::OnFinished};
  Operation<StreamCall> done_{&StreamCall::OnDone};

  Mutex mu_;
  std::deque<Slot> slots_ ABSL_GUARDED_BY(mu_);  // read and not yet being written, oldest first
  uint64_t next_number_ ABSL_GUARDED_BY(mu_) = 0;
  std::optional<absl::Status> end_ ABSL_GUARDED_BY(mu_);  // the error that ends the stream
  std::string model_label_ ABSL_GUARDED_BY(mu_);          // of the latest answer
  bool reading_ ABSL_GUARDED_BY(mu_) = false;
  bool writing_ ABSL_GUARDED_BY(mu_) = false;
  bool half_closed_ ABSL_GUARDED_BY(mu_) = false;  // no more messages will come
  bool broken_ ABSL_GUARDED_BY(mu_) = false;       // a write failed
  bool finishing_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace

void PostStreamCall(CallSource* source) { std::make_shared<StreamCall>(source)->Post(); }

}  // namespace octet::rpc
