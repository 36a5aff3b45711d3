#include <algorithm>
#include <cstdio>
#include <iostream>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "server/cli/advise/advise_command.h"
#include "server/cli/bench_command.h"
#include "server/cli/command.h"
#include "server/cli/evaluate/evaluate_command.h"
#include "server/cli/exit_code.h"
#include "server/cli/inspect/inspect_command.h"
#include "server/cli/nearest_name.h"

namespace octet::cli {
namespace {

// Every command, in the order of --help. A new one is a line here and a file of its own.
constexpr void (*kCommands[])(CLI::App&, CommandBody*) = {
    AddServeCommand,  AddEmbedCommand, AddQuantizeCommand, AddInspectCommand, AddEvaluateCommand,
    AddAdviseCommand, AddBenchCommand, AddHealthCommand,   AddVersionCommand,
};

// The name that the user may have meant, for a usage error: among the flags of the chosen command, or the
// commands.
std::string Suggestion(const CLI::App& app, const std::vector<std::string>& arguments) {
  const CLI::App* scope = &app;
  const auto chosen = app.get_subcommands();
  if (!chosen.empty()) scope = chosen.front();
  for (const std::string& argument : arguments) {
    const bool is_flag = absl::StartsWith(argument, "--");
    const std::string name = argument.substr(0, argument.find('='));
    std::vector<std::string> names;
    if (is_flag) {
      for (const CLI::Option* option : scope->get_options()) {
        for (const std::string& long_name : option->get_lnames()) names.push_back("--" + long_name);
      }
    } else if (scope == &app) {
      for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) {
        names.push_back(command->get_name());
      }
    }
    if (names.empty() || std::find(names.begin(), names.end(), name) != names.end()) continue;
    return absl::StrCat("; nearest to ", name, " is ", NearestName(name, names));
  }
  return "";
}

}  // namespace

void PrintError(const std::string& message) {
  std::fprintf(stderr, "octet: %s\n", absl::StrReplaceAll(message, {{"\n", " "}, {"\r", " "}}).c_str());
}

int Fail(const absl::Status& status, int exit_code) {
  PrintError(std::string(status.message()));
  return exit_code;
}

int RunCommandLine(int argc, const char* const* argv) {
  CLI::App app("octet: text encoders served over gRPC, in int8 on ordinary CPUs", "octet");
  app.require_subcommand(1);
  app.set_help_flag("-h,--help", "Say how to use octet or one of its commands");
  CommandBody chosen;
  for (const auto add : kCommands) add(app, &chosen);
  app.footer(kExitCodesHelp);  // last: commands that come later would inherit it
  for (CLI::App* command : app.get_subcommands({})) command->footer(command->get_footer() + kExitCodesHelp);
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& e) {  // --help
    return app.exit(e, std::cout, std::cerr);
  } catch (const CLI::ExtrasError& e) {
    PrintError(
        absl::StrCat(e.what(), Suggestion(app, std::vector<std::string>(argv + 1, argv + argc)), "; see octet --help"));
    return kExitConfig;
  } catch (const CLI::ParseError& e) {
    PrintError(
        absl::StrCat(e.what(), Suggestion(app, std::vector<std::string>(argv + 1, argv + argc)), "; see octet --help"));
    return kExitConfig;
  }
  return chosen();
}

}  // namespace octet::cli
