// `octet bench`: see bench.h.
#ifndef OCTET_SERVER_CLI_BENCH_COMMAND_H_
#define OCTET_SERVER_CLI_BENCH_COMMAND_H_

#include "server/cli/command.h"

namespace octet::cli {

void AddBenchCommand(CLI::App& app, CommandBody* chosen);

}  // namespace octet::cli

#endif  // OCTET_SERVER_CLI_BENCH_COMMAND_H_
