// Who is told of calls that have ended, besides the metrics: the log, and the status page's list of errors.
#ifndef OCTET_SERVER_RPC_CALL_OBSERVER_H_
#define OCTET_SERVER_RPC_CALL_OBSERVER_H_

#include <array>
#include <cstdint>
#include <optional>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/trace_context.h"
#include "serving/call_trace.h"

namespace octet::tracing {
class Tracer;
}

namespace octet::rpc {

enum class CallKind {
  kCall,
  kStream,   // its duration is its client's
  kMessage,  // of a stream
};

struct CallOutcome {
  CallKind kind = CallKind::kCall;
  absl::string_view method, model, code;  // as the metrics count it
  absl::Status status;                    // its message is the client's, without the text of a request
  absl::Duration duration;
  std::optional<TraceContext> trace;  // the call's own span or, without tracing, the caller's; absent: no trace
  std::optional<serving::CallPhases> phases = {};
};

// Thread-safe. Neither function may block.
class CallObserver {
 public:
  virtual ~CallObserver() = default;

  // Whether the times of the phases should be taken of every call.
  virtual bool WantsPhases() const = 0;
  // Whether OnCallEnd should be called for it. Asked once for every call and message, so it must be cheap.
  virtual bool Wants(CallKind kind, absl::string_view code, absl::Duration duration) = 0;
  virtual void OnCallEnd(const CallOutcome& outcome) = 0;
};

// Who follows calls. All may be null; what is there outlives the transport.
struct CallWatchers {
  const tracing::Tracer* tracer = nullptr;
  std::array<CallObserver*, 2> observers = {};
};

}  // namespace octet::rpc

#endif  // OCTET_SERVER_RPC_CALL_OBSERVER_H_
