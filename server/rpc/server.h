// The gRPC side of a running octet: transport, services, health and reflection over one pipeline.
#ifndef OCTET_SERVER_RPC_SERVER_H_
#define OCTET_SERVER_RPC_SERVER_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "server/rpc/rpc_options.h"
#include "serving/metrics.h"
#include "serving/model_repository.h"
#include "serving/pipeline.h"

namespace octet::rpc {

// Full names ("octet.v1.TextEncoder/Embed", ...) of the methods that are counted in the metrics, those of management
// included.
std::vector<std::string> MethodNames();

// Thread-safe.
class GrpcServer {
 public:
  // Binds and starts to answer, not yet SERVING. The pointers must outlive the server. FailedPrecondition
  // "cannot bind ..." when the address is in use or wrong.
  static absl::StatusOr<std::unique_ptr<GrpcServer>> Create(const RpcOptions& options, serving::Pipeline* pipeline,
                                                            const serving::ModelRepository* repository,
                                                            serving::Metrics* metrics, const Clock* clock);
  ~GrpcServer();  // as Shutdown(0)

  int port() const;                            // of the first HOST:PORT; 0 when all are UNIX sockets
  std::vector<std::string> addresses() const;  // as they were given, with the ports taken

  // What health says for "", every service and every model. `liveness` follows the pipeline instead.
  void SetServing(bool serving);
  bool serving() const;

  // No new calls; waits up to `timeout` for those in work, then cancels them. Idempotent.
  void Shutdown(absl::Duration timeout);

 private:
  struct State;
  explicit GrpcServer(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace octet::rpc

#endif  // OCTET_SERVER_RPC_SERVER_H_
