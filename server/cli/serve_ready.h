// The lines on stdout that say that a server is ready, where, and how to call it. For people and scripts that started it;
// the log is on stderr.
#ifndef OCTET_SERVER_CLI_SERVE_READY_H_
#define OCTET_SERVER_CLI_SERVE_READY_H_

#include <string>
#include <vector>

#include "server/cli/config.h"
#include "server/cli/serve_start.h"

namespace octet::cli {

// As bound.
struct BoundAddresses {
  std::vector<std::string> grpc = {};
  std::string metrics = {};  // "" = none
  std::vector<std::string> management = {};
};

void PrintReady(const Config& config, const ServePlan& plan, const BoundAddresses& addresses);

}  // namespace octet::cli

#endif  // OCTET_SERVER_CLI_SERVE_READY_H_
