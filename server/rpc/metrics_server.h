// The HTTP port of operators: /metrics (text exposition format), /healthz, /readyz and a page for people. GET only, a few
// connections, short timeouts, on threads of its own, so that it neither disturbs serving nor waits for it.
#ifndef OCTET_SERVER_RPC_METRICS_SERVER_H_
#define OCTET_SERVER_RPC_METRICS_SERVER_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "server/rpc/server.h"
#include "serving/metrics.h"
#include "serving/pipeline.h"

namespace octet::rpc {

class MetricsServer {
 public:
  using StatusPage = std::function<std::string(const std::string& state)>;  // HTML

  // `address` is HOST:PORT, or :PORT for all interfaces; port 0 takes a free one. [IPV6]:PORT needs a
  // civetweb with IPv6, which Debian 12's is not. FailedPrecondition "cannot bind ..." when it cannot. `metrics`
  // must outlive the server.
  //   /         200, what `status_page` gives; absent without it. It gets what /readyz says, in one line.
  //   /metrics  200
  //   /healthz  200 "ok", or 503 and the reason when a thread of the pipeline is stuck
  //   /readyz   200 "ready", or 503 when the server is loading, not serving or not healthy
  // HEAD is as GET without the body; other methods get 405, other paths 404.
  static absl::StatusOr<std::unique_ptr<MetricsServer>> Create(const std::string& address, serving::Metrics* metrics,
                                                               StatusPage status_page = nullptr);
  ~MetricsServer();  // takes up to 2 s: civetweb looks that often whether it should stop

  // Whose health and readiness the pages tell from now on, until Unwatch; both must live until then. Before and after
  // that the process is healthy and not ready.
  void Watch(const serving::Pipeline* pipeline, const GrpcServer* server);
  void Unwatch();  // when this returns, no page is using them

  int port() const;

 private:
  struct State;
  explicit MetricsServer(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace octet::rpc

#endif  // OCTET_SERVER_RPC_METRICS_SERVER_H_
