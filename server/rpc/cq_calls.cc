#include "server/rpc/cq_calls.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "server/rpc/cq_call_base.h"

namespace octet::rpc {
namespace {

using grpc::internal::RpcMethod;
using grpc::internal::RpcServiceMethod;

RpcMethod::RpcType TypeOf(MethodKind kind) {
  switch (kind) {
    case MethodKind::kUnary:
      return RpcMethod::NORMAL_RPC;
    case MethodKind::kStream:
    case MethodKind::kOrderedStream:
      return RpcMethod::BIDI_STREAMING;
    case MethodKind::kClientStream:
      return RpcMethod::CLIENT_STREAMING;
  }
  return RpcMethod::NORMAL_RPC;
}

// Waiting for clients, per method and queue. More than one, for what comes in a burst does not wait for the thread then.
constexpr size_t kMaxWaiting = 8;

void Post(CallSource* source) {
  switch (source->method().kind) {
    case MethodKind::kUnary:
      return PostUnaryCall(source);
    case MethodKind::kStream:
    case MethodKind::kOrderedStream:
      return PostStreamCall(source);
    case MethodKind::kClientStream:
      return PostClientStreamCall(source);
  }
}

void TopUp(CallSource* source) ABSL_EXCLUSIVE_LOCKS_REQUIRED(source->gate->mu) {
  while (source->gate->is_open && source->num_waiting < kMaxWaiting && source->num_calls < source->max_calls) {
    ++source->gate->num_posted;
    ++source->num_calls;
    ++source->num_waiting;
    Post(source);
  }
}

}  // namespace

RawService::RawService(std::vector<Method> methods) : methods_(std::move(methods)) {
  paths_.reserve(methods_.size());
  for (size_t i = 0; i < methods_.size(); ++i) {
    paths_.push_back(absl::StrCat("/", methods_[i].name));
    // The base class takes it.
    AddMethod(new RpcServiceMethod(paths_.back().c_str(), TypeOf(methods_[i].kind), nullptr));
    MarkMethodRaw(static_cast<int>(i));
  }
}

void PostCalls(CallSource* source) {
  MutexLock lock(&source->gate->mu);
  TopUp(source);
}

void CallArrived(CallSource* source) {
  MutexLock lock(&source->gate->mu);
  --source->num_waiting;
  TopUp(source);
}

void CallEnded(CallSource* source) {
  MutexLock lock(&source->gate->mu);
  --source->num_calls;
  TopUp(source);
  source->gate->PostedEndedLocked();
}

}  // namespace octet::rpc
