// The management listener of `octet serve`: what octet.admin.v1.Admin does with this process's log, signals and files.
#ifndef OCTET_SERVER_CLI_SERVE_MANAGEMENT_H_
#define OCTET_SERVER_CLI_SERVE_MANAGEMENT_H_

#include <memory>

#include "absl/status/statusor.h"
#include "server/cli/config_schema.h"
#include "server/cli/serve_credentials.h"
#include "server/cli/signals.h"
#include "server/rpc/management_server.h"
#include "server/rpc/server.h"
#include "serving/metrics.h"
#include "serving/model_repository.h"

namespace octet::cli {

// What management looks at and acts on; all outlive its listener.
struct Managed {
  const Credentials* credentials = nullptr;
  CredentialWatcher* watcher = nullptr;
  SignalWatcher* signals = nullptr;
  const rpc::GrpcServer* server = nullptr;
  const serving::ModelRepository* repository = nullptr;
};

// Null when the configuration has no management.address. Errors of ManagementServer::Create.
absl::StatusOr<std::unique_ptr<rpc::ManagementServer>> StartManagement(const Config& config, const Managed& managed,
                                                                       serving::Metrics* metrics);

}  // namespace octet::cli

#endif  // OCTET_SERVER_CLI_SERVE_MANAGEMENT_H_
