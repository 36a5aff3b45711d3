// `octet inspect`: what quantization does to each linear layer of a model.
#ifndef OCTET_SERVER_CLI_INSPECT_INSPECT_COMMAND_H_
#define OCTET_SERVER_CLI_INSPECT_INSPECT_COMMAND_H_

#include "server/cli/command.h"

namespace octet::cli {

void AddInspectCommand(CLI::App& app, CommandBody* chosen);

}  // namespace octet::cli

#endif  // OCTET_SERVER_CLI_INSPECT_INSPECT_COMMAND_H_
