// A client's stream: its messages are gathered until it has sent all of them, and get one answer.
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "grpc/support/time.h"
#include "grpcpp/alarm.h"
#include "grpcpp/support/async_stream.h"
#include "server/rpc/cq_call_base.h"
#include "serving/call.h"

namespace octet::rpc {
namespace {

// Until the last message is here the transport answers, for a stream that is too large or too slow; after that only
// the handler does.
class ClientStreamCall final : public CallBase, public std::enable_shared_from_this<ClientStreamCall> {
 public:
  explicit ClientStreamCall(CallSource* source) : CallBase(source), reader_(&context_) {}

  void Post() {
    context_.AsyncNotifyWhenDone(done_.Start(shared_from_this()));
    source_->service->RequestAsyncClientStreaming(source_->method_idx, &context_, &reader_, source_->queue,
                                                  source_->queue, received_.Start(shared_from_this()));
  }

 private:
  void OnReceived(bool ok) {
    if (!ok) {  // the server shuts down
      done_.Forget();
      return CallEnded(source_);
    }
    Begin();
    deadline_ = DeadlineFor(arrival_);
    const int64_t ns = absl::ToInt64Nanoseconds(deadline_ - arrival_);
    expiry_.Set(source_->queue, gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_nanos(ns, GPR_TIMESPAN)),
                expired_.Start(shared_from_this()));
    reader_.Read(&message_, read_.Start(shared_from_this()));
  }

  void OnRead(bool ok) {
    if (ok) return Gather();
    {
      MutexLock lock(&mu_);
      if (is_gathered_) return;  // answered without the rest
      is_gathered_ = true;
    }
    expiry_.Cancel();
    Call call =
        MakeCall({}, [self = shared_from_this()](auto answer, auto label) { self->Answer(std::move(answer), label); });
    call.messages = std::move(messages_);
    call.arrival = arrival_;
    call.deadline = deadline_;
    source_->method().handler(std::move(call));
  }

  void Gather() {
    {
      // Answered already: the call may end at any moment, and its queue with it.
      MutexLock lock(&mu_);
      if (is_gathered_) return;
    }
    num_bytes_ += message_.Length();
    messages_.push_back(std::exchange(message_, {}));
    if (messages_.size() > source_->max_client_stream_messages) {
      return Refuse(absl::InvalidArgumentError(
                        absl::StrCat("request: more than ", source_->max_client_stream_messages, " messages")),
                    serving::kReasonInvalid);
    }
    if (num_bytes_ > source_->max_client_stream_bytes) {
      return Refuse(absl::InvalidArgumentError(
                        absl::StrCat("request: more than ", source_->max_client_stream_bytes, " bytes of messages")),
                    serving::kReasonInvalid);
    }
    reader_.Read(&message_, read_.Start(shared_from_this()));
  }

  // For a stream that is not wanted to its end.
  void Refuse(absl::Status status, absl::string_view reason) {
    {
      MutexLock lock(&mu_);
      if (is_gathered_) return;
      is_gathered_ = true;
    }
    expiry_.Cancel();
    status = serving::WithReason(std::move(status), reason);
    serving::CountRefusal(status, source_->metrics);
    Answer(std::move(status), "");
  }

  void OnExpired(bool ok) {
    if (!ok) return;  // cancelled: there is something else to answer with
    Refuse(absl::DeadlineExceededError("request: deadline passed before the last message"), serving::kReasonDeadline);
  }

  void Answer(absl::StatusOr<grpc::ByteBuffer> answer, absl::string_view model_label) {
    const grpc::Status status = Conclude(answer.status(), model_label);
    void* const tag = finished_.Start(shared_from_this());
    if (status.ok()) {
      reader_.Finish(*answer, status, tag);
    } else {
      reader_.FinishWithError(status, tag);
    }
  }

  void OnFinished(bool) { CallEnded(source_); }

  void OnDone(bool) {
    if (context_.IsCancelled()) cancelled_->store(true, std::memory_order_release);
  }

  grpc::ServerAsyncReader<grpc::ByteBuffer, grpc::ByteBuffer> reader_;
  grpc::Alarm expiry_;
  MonotonicTime deadline_;
  Operation<ClientStreamCall> received_{&ClientStreamCall::OnReceived};
  Operation<ClientStreamCall> read_{&ClientStreamCall::OnRead};
  Operation<ClientStreamCall> expired_{&ClientStreamCall::OnExpired};
  Operation<ClientStreamCall> finished_{&ClientStreamCall::OnFinished};
  Operation<ClientStreamCall> done_{&ClientStreamCall::OnDone};

  // Of the one read at a time.
  grpc::ByteBuffer message_;
  std::vector<grpc::ByteBuffer> messages_;
  size_t num_bytes_ = 0;

  Mutex mu_;
  bool is_gathered_ ABSL_GUARDED_BY(mu_) = false;  // all messages are here, or no more are wanted
};

}  // namespace

void PostClientStreamCall(CallSource* source) { std::make_shared<ClientStreamCall>(source)->Post(); }

}  // namespace octet::rpc
