// Tracing and logging of one call and of a stream's messages, from the transport's side: reads the caller's trace, gives
// the pipeline something to note times in if anybody wants them, and tells tracer and observers of the end. When nothing is
// traced and a call is of no interest to its observers it does next to nothing (bench/instrumentation_bench).
#ifndef OCTET_SERVER_RPC_CALL_WATCH_H_
#define OCTET_SERVER_RPC_CALL_WATCH_H_

#include <cstdint>
#include <memory>
#include <optional>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "base/clock.h"
#include "grpcpp/server_context.h"
#include "server/rpc/call_observer.h"
#include "server/tracing/tracer.h"
#include "serving/call_trace.h"

namespace octet::rpc {

// How a call or a message ended.
struct CallEnd {
  absl::string_view method, model, code;  // code: of a message only when it is an error
  const absl::Status& status;
  MonotonicTime end;
};

// A message of a stream that is in work.
struct MessageWatch {
  tracing::OpenSpan span;  // if the stream is sampled
  MonotonicTime begin;
  uint64_t number = 0;  // from 1
  std::shared_ptr<serving::CallTrace> trace;
};

// One thread at a time; messages: thread-safe once begun.
class CallWatch {
 public:
  explicit CallWatch(const CallWatchers& watchers) : watchers_(watchers) {}

  // `kind`: a call or a stream.
  void Begin(CallKind kind, const grpc::ServerContext& context, MonotonicTime begin);
  // Null when nobody wants the times.
  const std::shared_ptr<serving::CallTrace>& trace() const { return trace_; }
  // `context`: as for Begin.
  void End(const CallEnd& end, const grpc::ServerContext& context);

  MessageWatch BeginMessage(uint64_t number, MonotonicTime begin) const;
  void EndMessage(const MessageWatch& message, const CallEnd& end, const grpc::ServerContext& context) const;

 private:
  void Export(const tracing::OpenSpan& span, uint64_t message, const serving::CallTrace& trace,
              const CallEnd& end) const;
  // A call or a message that has ended. `span`: if there is a tracer.
  struct Watched {
    CallKind kind;
    MonotonicTime begin;
    std::optional<TraceContext> span;
    const serving::CallTrace* trace;
  };
  void TellObservers(const Watched& watched, const CallEnd& end, const grpc::ServerContext& context) const;
  bool is_traced() const { return span_.context.sampled; }

  const CallWatchers watchers_;
  CallKind kind_ = CallKind::kCall;
  MonotonicTime begin_;
  tracing::OpenSpan span_;  // if there is a tracer
  std::shared_ptr<serving::CallTrace> trace_;
};

}  // namespace octet::rpc

#endif  // OCTET_SERVER_RPC_CALL_WATCH_H_
