#include "server/cli/serve_metrics.h"

#include "absl/time/clock.h"
#include "base/clock.h"
#include "base/status_macros.h"
#include "server/status/status_page.h"

namespace octet::cli {

absl::Status ServeMetrics::Start(const std::string& address) {
  history_.emplace(metrics_, &SteadyClock::Get());
  ASSIGN_OR_RETURN(server_, rpc::MetricsServer::Create(address, metrics_,
                                                       [this](const std::string& state) { return StatusPage(state); }));
  return absl::OkStatus();
}

void ServeMetrics::Watch(const serving::Pipeline* pipeline, const rpc::GrpcServer* server) {
  if (server_ != nullptr) server_->Watch(pipeline, server);
}

void ServeMetrics::Unwatch() {
  if (server_ != nullptr) server_->Unwatch();
}

std::string ServeMetrics::StatusPage(const std::string& state) const {
  return status::StatusPage({.state = state,
                             .now = absl::Now(),
                             .families = metrics_->Collect(),
                             .at = SteadyClock::Get().Now(),
                             .earlier = history_->Oldest(),
                             .errors = errors_.Get()});
}

}  // namespace octet::cli
