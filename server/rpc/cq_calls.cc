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

void PostCall(const CallSource& source) {
  MutexLock lock(&source.gate->mu);
  if (!source.gate->is_open) return;
  ++source.gate->num_posted;
  switch (source.method().kind) {
    case MethodKind::kUnary:
      return PostUnaryCall(source);
    case MethodKind::kStream:
    case MethodKind::kOrderedStream:
      return PostStreamCall(source);
    case MethodKind::kClientStream:
      return PostClientStreamCall(source);
  }
}

}  // namespace octet::rpc
