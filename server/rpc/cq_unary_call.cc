// A call of one message and one answer.
#include <memory>
#include <utility>

#include "grpcpp/support/async_unary_call.h"
#include "server/rpc/cq_call_base.h"

namespace octet::rpc {
namespace {

class UnaryCall final : public CallBase, public std::enable_shared_from_this<UnaryCall> {
 public:
  explicit UnaryCall(CallSource* source) : CallBase(source), writer_(&context_) {}

  void Post() {
    context_.AsyncNotifyWhenDone(done_.Start(shared_from_this()));
    source_->service->RequestAsyncUnary(source_->method_idx, &context_, &request_, &writer_, source_->queue,
                                        source_->queue, received_.Start(shared_from_this()));
  }

 private:
  void OnReceived(bool ok) {
    if (!ok) {  // the server shuts down; no call, so no end of one
      done_.Forget();
      return CallEnded(source_);
    }
    Begin();
    source_->method().handler(MakeCall(std::move(request_), [self = shared_from_this()](auto answer, auto label) {
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

  void OnFinished(bool) { CallEnded(source_); }

  void OnDone(bool) {
    if (context_.IsCancelled()) cancelled_->store(true, std::memory_order_release);
  }

  grpc::ByteBuffer request_;
  grpc::ServerAsyncResponseWriter<grpc::ByteBuffer> writer_;
  Operation<UnaryCall> received_{&UnaryCall::OnReceived};
  Operation<UnaryCall> finished_{&UnaryCall::OnFinished};
  Operation<UnaryCall> done_{&UnaryCall::OnDone};
};

}  // namespace

void PostUnaryCall(CallSource* source) { std::make_shared<UnaryCall>(source)->Post(); }

}  // namespace octet::rpc
