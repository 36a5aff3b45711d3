// What a transport delivers and what answers it: methods by name, messages as raw bytes. Services are
// written against this alone, so another transport (an own accept loop, headers-first generic calls) can
// take the place of cq_transport without touching them.
#ifndef OCTET_SERVER_RPC_TRANSPORT_H_
#define OCTET_SERVER_RPC_TRANSPORT_H_

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "grpcpp/support/byte_buffer.h"
#include "serving/call_trace.h"

namespace octet::rpc {

// Answers a Call: exactly once, from any thread, without blocking. `model_label` is what the call is counted
// under ("" when no model was found). A unary call and a client's stream end with the answer. On a stream a message is written,
// and an error ends the stream after the answers that come before it.
using Reply = absl::AnyInvocable<void(absl::StatusOr<grpc::ByteBuffer> answer, absl::string_view model_label) &&>;

// A unary call, one message of a stream, or all messages of a client's stream.
struct Call {
  absl::string_view method;  // "octet.v1.TextEncoder/Embed"; lives as long as the transport
  grpc::ByteBuffer request;
  std::vector<grpc::ByteBuffer> messages = {};  // of kClientStream, in place of `request`
  std::string model_metadata;                   // request metadata `octet-model`, "" if absent
  MonotonicTime arrival;
  MonotonicTime deadline;                              // the client's or the server's maximum, whichever is earlier
  std::shared_ptr<const std::atomic<bool>> cancelled;  // true once the client has gone
  std::shared_ptr<serving::CallTrace> trace = {};      // for the request; null: nobody wants its times
  Reply reply;
};

// Runs on a thread of the transport; must neither block nor throw.
using Handler = std::function<void(Call)>;

enum class MethodKind {
  kUnary,
  kStream,         // bidirectional; answers in any order
  kOrderedStream,  // bidirectional; answers in the order of the messages
  kClientStream,   // messages of the client, then one answer; bounded in number and bytes (RpcOptions)
};

struct Method {
  std::string name;
  MethodKind kind = MethodKind::kUnary;
  Handler handler;
};

// Thread-safe.
class Transport {
 public:
  virtual ~Transport() = default;  // as Shutdown(0)

  // Of the first HOST:PORT; 0 when all are UNIX sockets.
  virtual int port() const = 0;
  // As they were given, with the ports taken.
  virtual std::vector<std::string> addresses() const = 0;
  // Takes no new calls, waits up to `timeout` for those in work, cancels the rest and waits for their
  // replies. Idempotent.
  virtual void Shutdown(absl::Duration timeout) = 0;

  // grpc.health.v1: the status of a service name; unknown until set.
  virtual void SetHealth(const std::string& service, bool serving) = 0;
};

}  // namespace octet::rpc

#endif  // OCTET_SERVER_RPC_TRANSPORT_H_
