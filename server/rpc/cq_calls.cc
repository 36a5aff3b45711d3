#include "server/rpc/cq_calls.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <deque>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/mutex.h"
#include "grpcpp/server_context.h"
#include "grpcpp/support/async_stream.h"
#include "grpcpp/support/async_unary_call.h"
#include "server/rpc/status_map.h"

namespace octet::rpc {
namespace {

using grpc::internal::RpcMethod;
using grpc::internal::RpcServiceMethod;

// What unary calls and streams have in common: the context, when it came, whether the client is gone, and
// the two counts.
class CallBase {
 public:
  explicit CallBase(const CallSource& source) : source_(source) {}

 protected:
  ~CallBase() = default;

  // Once the call is here.
  void Begin() {
    source_.metrics->StartCall(source_.method().name);
    arrival_ = source_.clock->Now();
    const auto& metadata = context_.client_metadata();
    if (const auto it = metadata.find("octet-model"); it != metadata.end()) {
      model_metadata_.assign(it->second.data(), it->second.size());
    }
  }

  // A request that came at `arrival` must be done by: the client's deadline, at most the server's maximum.
  MonotonicTime DeadlineFor(MonotonicTime arrival) const {
    const auto left = context_.deadline() - std::chrono::system_clock::now();
    // The longest time that converts safely is far above any maximum; a call without deadline has more.
    const auto bounded = std::min<std::chrono::system_clock::duration>(left, std::chrono::hours(24));
    return arrival + std::min(absl::FromChrono(bounded), source_.max_deadline);
  }

  Call MakeCall(grpc::ByteBuffer request, Reply reply) {
    const MonotonicTime now = source_.clock->Now();
    return {.method = source_.method().name,
            .request = std::move(request),
            .model_metadata = model_metadata_,
            .arrival = now,
            .deadline = DeadlineFor(now),
            .cancelled = cancelled_,
            .reply = std::move(reply)};
  }

  // Counts the outcome and turns it into what goes on the wire. Before the client can see it: who has an
  // answer finds it counted.
  grpc::Status Conclude(const absl::Status& status, absl::string_view model_label) {
    const grpc::Status result = ToGrpcStatus(status);
    if (const auto pushback = RetryPushback(status)) {
      context_.AddTrailingMetadata("grpc-retry-pushback-ms", *pushback);
    }
    source_.metrics->RecordCall(source_.method().name, model_label, CodeName(result.error_code()),
                                source_.clock->Now() - arrival_);
    return result;
  }

  // Once no more operations will be started.
  void EndPost() {
    PostGate& gate = *source_.gate;
    MutexLock lock(&gate.mu);
    if (--gate.num_posted == 0) gate.none_posted.SignalAll();
  }

  const CallSource& source_;
  grpc::ServerContext context_;
  MonotonicTime arrival_;
  std::string model_metadata_;
  const std::shared_ptr<std::atomic<bool>> cancelled_ = std::make_shared<std::atomic<bool>>(false);
};

// An operation in flight. Keeps its call alive until the queue has handed it back.
template <typename T>
class Operation final : public Event {
 public:
  using Continuation = void (T::*)(bool ok);
  explicit Operation(Continuation continuation) : continuation_(continuation) {}

  // The tag of an operation that is being started.
  void* Start(std::shared_ptr<T> call) {
    call_ = std::move(call);
    handed_over_.store(true, std::memory_order_release);
    return static_cast<Event*>(this);
  }
  // An operation that will never be handed back.
  void Forget() { call_ = nullptr; }

  void Happen(bool ok) override {
    handed_over_.load(std::memory_order_acquire);
    const std::shared_ptr<T> call = std::move(call_);
    ((*call).*continuation_)(ok);
  }

 private:
  const Continuation continuation_;
  std::shared_ptr<T> call_;
  // Orders what was written before Start before what happens after. The queue does so already, but by locks
  // inside libraries that ThreadSanitizer cannot see into.
  std::atomic<bool> handed_over_{false};
};

class UnaryCall final : public CallBase, public std::enable_shared_from_this<UnaryCall> {
 public:
  explicit UnaryCall(const CallSource& source) : CallBase(source), writer_(&context_) {}

  void Post() {
    context_.AsyncNotifyWhenDone(done_.Start(shared_from_this()));
    source_.service->RequestAsyncUnary(source_.method_idx, &context_, &request_, &writer_, source_.queue, source_.queue,
                                       received_.Start(shared_from_this()));
  }

 private:
  void OnReceived(bool ok) {
    if (!ok) {  // the server shuts down; no call, so no end of one
      done_.Forget();
      return EndPost();
    }
    Begin();
    source_.method().handler(MakeCall(std::move(request_), [self = shared_from_this()](auto answer, auto label) {
      self->Answer(std::move(answer), label);
    }));
  }

  void Answer(absl::StatusOr<grpc::ByteBuffer> answer, absl::string_view model_label) {
    const grpc::Status status = Conclude(answer.status(), model_label);
    void* const tag = finished_.Start(shared_from_this());
    if (status.ok()) {
      writer_.Finish(*answer, status, tag);
    } else {
      writer_.FinishWithError(status, tag);
    }
  }

  void OnFinished(bool) {
    PostCall(source_);
    EndPost();
  }

  void OnDone(bool) {
    if (context_.IsCancelled()) cancelled_->store(true, std::memory_order_release);
  }

  grpc::ByteBuffer request_;
  grpc::ServerAsyncResponseWriter<grpc::ByteBuffer> writer_;
  Operation<UnaryCall> received_{&UnaryCall::OnReceived};
  Operation<UnaryCall> finished_{&UnaryCall::OnFinished};
  Operation<UnaryCall> done_{&UnaryCall::OnDone};
};

// A bidirectional stream. At most max_stream_messages are read and not yet answered on the wire; then
// reading pauses, and flow control makes the client wait.
class StreamCall final : public CallBase, public std::enable_shared_from_this<StreamCall> {
 public:
  explicit StreamCall(const CallSource& source) : CallBase(source), stream_(&context_) {}

  void Post() {
    context_.AsyncNotifyWhenDone(done_.Start(shared_from_this()));
    source_.service->RequestAsyncBidiStreaming(source_.method_idx, &context_, &stream_, source_.queue, source_.queue,
                                               received_.Start(shared_from_this()));
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
      return EndPost();
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
    source_.method().handler(
        MakeCall(std::exchange(message_, {}), [self = shared_from_this(), number](auto answer, auto label) {
          self->Answer(number, std::move(answer), label);
        }));
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

  void OnFinished(bool) {
    PostCall(source_);
    EndPost();
  }

  void OnDone(bool) {
    if (context_.IsCancelled()) cancelled_->store(true, std::memory_order_release);
  }

  // Reads another message unless one is being read or enough are in work.
  void ReadNext() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    const size_t in_work = slots_.size() + (writing_ ? 1 : 0);
    if (reading_ || half_closed_ || end_ || in_work >= source_.max_stream_messages) return;
    reading_ = true;
    stream_.Read(&message_, read_.Start(shared_from_this()));
  }

  // Writes the next answer that may go, or ends the stream when there is nothing more to come.
  void Pump() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    if (writing_ || finishing_) return;
    while (!slots_.empty()) {
      const bool ordered = source_.method().kind == MethodKind::kOrderedStream;
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

RawService::RawService(std::vector<Method> methods) : methods_(std::move(methods)) {
  paths_.reserve(methods_.size());
  for (size_t i = 0; i < methods_.size(); ++i) {
    paths_.push_back(absl::StrCat("/", methods_[i].name));
    const auto type = methods_[i].kind == MethodKind::kUnary ? RpcMethod::NORMAL_RPC : RpcMethod::BIDI_STREAMING;
    AddMethod(new RpcServiceMethod(paths_.back().c_str(), type, nullptr));  // the base class takes it
    MarkMethodRaw(static_cast<int>(i));
  }
}

void PostCall(const CallSource& source) {
  MutexLock lock(&source.gate->mu);
  if (!source.gate->is_open) return;
  ++source.gate->num_posted;
  if (source.method().kind == MethodKind::kUnary) {
    std::make_shared<UnaryCall>(source)->Post();
  } else {
    std::make_shared<StreamCall>(source)->Post();
  }
}

}  // namespace octet::rpc
