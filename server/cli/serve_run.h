// The serving part of `octet serve`: from a settled plan to the end of the drain.
#ifndef OCTET_SERVER_CLI_SERVE_RUN_H_
#define OCTET_SERVER_CLI_SERVE_RUN_H_

#include "base/container_limits.h"
#include "server/cli/config.h"
#include "server/cli/serve_credentials.h"
#include "server/cli/serve_start.h"
#include "server/cli/signals.h"

namespace octet::cli {

// Binds, loads, warms up, prints the ready lines on stdout, serves until a stop signal, drains. Returns
// the exit code. `credentials`: LoadCredentials of the configuration.
int RunServer(const Config& config, const ServePlan& plan, const ContainerLimits& limits, Credentials* credentials,
              SignalWatcher* signals);

}  // namespace octet::cli

#endif  // OCTET_SERVER_CLI_SERVE_RUN_H_
