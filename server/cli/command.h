// The commands of the `octet` program. Each adds its CLI11 subcommand; when that was chosen, its callback
// puts the work to do into `chosen`, which main runs after parsing.
#ifndef OCTET_SERVER_CLI_COMMAND_H_
#define OCTET_SERVER_CLI_COMMAND_H_

#include <functional>
#include <string>

#include "CLI/CLI.hpp"
#include "absl/status/status.h"

namespace octet::cli {

using CommandBody = std::function<int()>;  // returns the exit code

void AddServeCommand(CLI::App& app, CommandBody* chosen);
void AddEmbedCommand(CLI::App& app, CommandBody* chosen);
void AddQuantizeCommand(CLI::App& app, CommandBody* chosen);
void AddHealthCommand(CLI::App& app, CommandBody* chosen);
void AddVersionCommand(CLI::App& app, CommandBody* chosen);

// Prints "octet: <message>" on stderr, on one line.
void PrintError(const std::string& message);
// Prints the error's message so; returns `exit_code`.
int Fail(const absl::Status& status, int exit_code);

// Parses and runs. Usage errors exit with kExitConfig and one line naming the nearest flag or command.
int RunCommandLine(int argc, const char* const* argv);

}  // namespace octet::cli

#endif  // OCTET_SERVER_CLI_COMMAND_H_
