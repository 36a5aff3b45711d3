// The HTTP port of operators: /metrics (text exposition format), /healthz and /readyz. GET only, a few
// connections, short timeouts, on threads of its own, so that it neither disturbs serving nor waits for it.
#ifndef OCTET_SERVER_RPC_METRICS_SERVER_H_
#define OCTET_SERVER_RPC_METRICS_SERVER_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "server/rpc/server.h"
#include "serving/metrics.h"
#include "serving/pipeline.h"

namespace octet::rpc {

class MetricsServer {
 public:
  // `address` is HOST:PORT, or :PORT for all interfaces; port 0 takes a free one. [IPV6]:PORT needs a
  // civetweb with IPv6, which Debian 12's is not. FailedPrecondition "cannot bind ..." when it cannot. The
  // pointers must outlive the server.
  //   /metrics  200
  //   /healthz  200 "ok", or 503 and the reason when pipeline->Health() says that a thread is stuck
  //   /readyz   200 "ready", or 503 when the server is not serving or not healthy
  // HEAD is as GET without the body; other methods get 405, other paths 404.
  static absl::StatusOr<std::unique_ptr<MetricsServer>> Create(const std::string& address, serving::Metrics* metrics,
                                                               const serving::Pipeline* pipeline,
                                                               const GrpcServer* server);
  ~MetricsServer();  // takes up to 2 s: civetweb looks that often whether it should stop

  int port() const;

 private:
  struct State;
  explicit MetricsServer(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace octet::rpc

#endif  // OCTET_SERVER_RPC_METRICS_SERVER_H_
