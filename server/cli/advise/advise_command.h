#ifndef OCTET_SERVER_CLI_ADVISE_ADVISE_COMMAND_H_
#define OCTET_SERVER_CLI_ADVISE_ADVISE_COMMAND_H_

#include "server/cli/command.h"

namespace octet::cli {

// `octet advise`: measures a model's variants and recommends one.
void AddAdviseCommand(CLI::App& app, CommandBody* chosen);

}  // namespace octet::cli

#endif  // OCTET_SERVER_CLI_ADVISE_ADVISE_COMMAND_H_
