// Calls of the completion-queue transport, from being posted to their last event. Internal to the transport.
#ifndef OCTET_SERVER_RPC_CQ_CALLS_H_
#define OCTET_SERVER_RPC_CQ_CALLS_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "grpcpp/completion_queue.h"
#include "grpcpp/impl/service_type.h"
#include "server/rpc/call_observer.h"
#include "server/rpc/transport.h"
#include "serving/metrics.h"

namespace octet::rpc {

// A service whose methods take and give raw bytes: what generated code makes with its raw options, for any
// method names. One per gRPC service, since reflection lists services by it.
class RawService final : public grpc::Service {
 public:
  // Takes the methods of one service; each keeps its place as index.
  explicit RawService(std::vector<Method> methods);

  const std::vector<Method>& methods() const { return methods_; }

  using grpc::Service::RequestAsyncBidiStreaming;
  using grpc::Service::RequestAsyncClientStreaming;
  using grpc::Service::RequestAsyncUnary;

 private:
  const std::vector<Method> methods_;
  std::vector<std::string> paths_;  // "/service/method"; gRPC keeps pointers to them
};

// Whether calls may still be posted, and how many are. Starting an operation on a queue that has been shut
// down is fatal in gRPC. So posts and the closing exclude each other, and the queues are shut down only after
// the last posted call has ended: after a cancellation the handler's reply is still to come.
struct PostGate {
  Mutex mu;
  CondVar none_posted;
  bool is_open ABSL_GUARDED_BY(mu) = true;
  size_t num_posted ABSL_GUARDED_BY(mu) = 0;  // waiting for a client, or in work

  // Counts a call that is about to be posted; false when it must not be.
  bool TryPost() {
    MutexLock lock(&mu);
    if (is_open) ++num_posted;
    return is_open;
  }
  void PostedEnded() {
    MutexLock lock(&mu);
    PostedEndedLocked();
  }
  void PostedEndedLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu) {
    if (--num_posted == 0) none_posted.SignalAll();
  }
  void Close() {
    MutexLock lock(&mu);
    is_open = false;
  }
  void WaitUntilNonePosted() {
    MutexLock lock(&mu);
    while (num_posted > 0) none_posted.Wait(&mu);
  }
};

// What every call of a method and queue needs, and how many of them there are. Lives as long as the transport.
struct CallSource {
  RawService* service = nullptr;
  int method_idx = 0;
  grpc::ServerCompletionQueue* queue = nullptr;
  serving::Metrics* metrics = nullptr;
  const Clock* clock = nullptr;
  absl::Duration max_deadline;
  size_t max_stream_messages = 0;
  size_t max_client_stream_messages = 0, max_client_stream_bytes = 0;
  size_t max_calls = 0;  // waiting for a client, or in work
  PostGate* gate = nullptr;
  CallWatchers watchers;
  size_t num_calls ABSL_GUARDED_BY(gate->mu) = 0;
  size_t num_waiting ABSL_GUARDED_BY(gate->mu) = 0;  // of these, for a client

  const Method& method() const { return service->methods()[method_idx]; }
};

// Asks the transport for calls of the source's method: a few wait for clients at any time, and one that has come is
// replaced, up to the most that may be in work. Each takes about 3 KiB, so that not all are posted from the start. Nothing
// is posted once the gate is closed.
void PostCalls(CallSource* source);

// A call has come for one that was posted.
void CallArrived(CallSource* source);
// No more operations will be started for a posted call, whether a client came for it or not.
void CallEnded(CallSource* source);

}  // namespace octet::rpc

#endif  // OCTET_SERVER_RPC_CQ_CALLS_H_
