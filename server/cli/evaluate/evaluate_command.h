// `octet evaluate`: variants of one model on a labelled task, measured with the engine that serves them.
#ifndef OCTET_SERVER_CLI_EVALUATE_EVALUATE_COMMAND_H_
#define OCTET_SERVER_CLI_EVALUATE_EVALUATE_COMMAND_H_

#include "server/cli/command.h"

namespace octet::cli {

void AddEvaluateCommand(CLI::App& app, CommandBody* chosen);

}  // namespace octet::cli

#endif  // OCTET_SERVER_CLI_EVALUATE_EVALUATE_COMMAND_H_
