// The metrics port of `octet serve` with what its status page remembers; nothing of it when the port is off.
#ifndef OCTET_SERVER_CLI_SERVE_METRICS_H_
#define OCTET_SERVER_CLI_SERVE_METRICS_H_

#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "server/rpc/metrics_server.h"
#include "server/rpc/server.h"
#include "server/status/recent_errors.h"
#include "server/status/traffic.h"
#include "serving/metrics.h"
#include "serving/pipeline.h"

namespace octet::cli {

class ServeMetrics {
 public:
  // `metrics` must outlive it.
  explicit ServeMetrics(serving::Metrics* metrics) : metrics_(metrics) {}

  // Opens the port; errors of MetricsServer::Create. Not called: the port is off.
  absl::Status Start(const std::string& address);

  // Null when the port is off. To be told of calls.
  status::RecentErrors* errors() { return server_ == nullptr ? nullptr : &errors_; }
  // 0 when the port is off.
  int port() const { return server_ == nullptr ? 0 : server_->port(); }

  // As MetricsServer's; nothing when the port is off.
  void Watch(const serving::Pipeline* pipeline, const rpc::GrpcServer* server);
  void Unwatch();

 private:
  std::string StatusPage(const std::string& state) const;

  serving::Metrics* const metrics_;
  status::RecentErrors errors_;
  std::optional<status::TrafficHistory> history_;
  std::unique_ptr<rpc::MetricsServer> server_;  // last: its pages use the others
};

}  // namespace octet::cli

#endif  // OCTET_SERVER_CLI_SERVE_METRICS_H_
