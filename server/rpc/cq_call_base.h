// What calls of every kind are made of: the context, when it came, whether the client is gone, and the two counts.
// Internal to the transport.
#ifndef OCTET_SERVER_RPC_CQ_CALL_BASE_H_
#define OCTET_SERVER_RPC_CQ_CALL_BASE_H_

#include <algorithm>
#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/mutex.h"
#include "grpcpp/server_context.h"
#include "server/rpc/call_watch.h"
#include "server/rpc/cq_calls.h"
#include "server/rpc/cq_operation.h"
#include "server/rpc/status_map.h"

namespace octet::rpc {

// Start the wait for one call of the source's method, which is of that kind. Gate and source count it already.
void PostUnaryCall(CallSource* source);
void PostStreamCall(CallSource* source);
void PostClientStreamCall(CallSource* source);

// Whether each message is a request of its own.
inline bool IsStream(MethodKind kind) { return kind == MethodKind::kStream || kind == MethodKind::kOrderedStream; }

class CallBase {
 public:
  explicit CallBase(CallSource* source) : source_(source), watch_(source->watchers) {}

 protected:
  ~CallBase() = default;

  // Once the call is here.
  void Begin() {
    CallArrived(source_);
    source_->metrics->StartCall(source_->method().name);
    arrival_ = source_->clock->Now();
    const auto& metadata = context_.client_metadata();
    if (const auto it = metadata.find("octet-model"); it != metadata.end()) {
      model_metadata_.assign(it->second.data(), it->second.size());
    }
    watch_.Begin(IsStream(source_->method().kind) ? CallKind::kStream : CallKind::kCall, context_, arrival_);
  }

  // A request that came at `arrival` must be done by: the client's deadline, at most the server's maximum.
  MonotonicTime DeadlineFor(MonotonicTime arrival) const {
    const auto left = context_.deadline() - std::chrono::system_clock::now();
    // The longest time that converts safely is far above any maximum; a call without deadline has more.
    const auto bounded = std::min<std::chrono::system_clock::duration>(left, std::chrono::hours(24));
    return arrival + std::min(absl::FromChrono(bounded), source_->max_deadline);
  }

  Call MakeCall(grpc::ByteBuffer request, Reply reply) {
    const MonotonicTime now = source_->clock->Now();
    return {.method = source_->method().name,
            .request = std::move(request),
            .model_metadata = model_metadata_,
            .arrival = now,
            .deadline = DeadlineFor(now),
            .cancelled = cancelled_,
            .trace = watch_.trace(),
            .reply = std::move(reply)};
  }

  // Counts the outcome and turns it into what goes on the wire. Before the client can see it: who has an
  // answer finds it counted.
  grpc::Status Conclude(const absl::Status& status, absl::string_view model_label) {
    const grpc::Status result = ToGrpcStatus(status);
    if (const auto pushback = RetryPushback(status)) {
      context_.AddTrailingMetadata("grpc-retry-pushback-ms", *pushback);
    }
    const MonotonicTime now = source_->clock->Now();
    const absl::string_view code = CodeName(result.error_code());
    source_->metrics->RecordCall(source_->method().name, model_label, code, now - arrival_);
    watch_.End({source_->method().name, model_label, code, status, now}, context_);
    return result;
  }

  // Of a stream.
  MessageWatch BeginMessage(uint64_t number) { return watch_.BeginMessage(number, source_->clock->Now()); }
  void EndMessage(const MessageWatch& message, const absl::Status& status, absl::string_view model_label) const {
    const absl::string_view code = status.ok() ? "" : CodeName(ToGrpcStatus(status).error_code());
    watch_.EndMessage(message, {source_->method().name, model_label, code, status, source_->clock->Now()}, context_);
  }

  CallSource* const source_;
  grpc::ServerContext context_;
  MonotonicTime arrival_;
  std::string model_metadata_;
  CallWatch watch_;
  const std::shared_ptr<std::atomic<bool>> cancelled_ = std::make_shared<std::atomic<bool>>(false);
};

}  // namespace octet::rpc

#endif  // OCTET_SERVER_RPC_CQ_CALL_BASE_H_
