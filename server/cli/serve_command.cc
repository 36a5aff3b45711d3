// `octet serve`: flags to a checked configuration to a running server.
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "server/cli/command.h"
#include "server/cli/config.h"
#include "server/cli/config_file.h"
#include "server/cli/config_listeners.h"
#include "server/cli/exit_code.h"
#include "server/cli/grpc_log.h"
#include "server/cli/log.h"
#include "server/cli/serve_credentials.h"
#include "server/cli/serve_run.h"
#include "server/cli/serve_start.h"
#include "server/cli/signals.h"
#include "spdlog/spdlog.h"

namespace octet::cli {
namespace {

struct ServeFlags {
  std::string file;
  std::vector<FlagValue> values;
  bool check_config = false;
};

struct FlagKey {
  const char* flag;
  const char* key;
  const char* help;
};
constexpr FlagKey kFlagKeys[] = {
    {"--grpc-address", "grpc.address",
     "HOST:PORT or unix:/PATH of the service, or several with commas [127.0.0.1:50051]"},
    {"--metrics-address", "metrics.address", "HOST:PORT of /metrics, /healthz, /readyz [127.0.0.1:9464]"},
    {"--threads", "engine.threads", "Threads that compute [the CPUs that the container may use]"},
    {"--precision", "engine.precision", "int8, bf16 or f32 [int8]"},
    {"--default-model", "default_model", "Model of calls that name none"},
    {"--log-level", "log.level", "debug, info, warn, error or off [info]"},
    {"--log-format", "log.format", "text or json [text]"},
};

int Refuse(const Refusal& refusal) {
  for (const std::string& line : refusal.lines) PrintError(line);
  return refusal.exit_code;
}

int RunServe(const ServeFlags& flags) {
  const LoadedConfig loaded =
      LoadConfig({.file = flags.file, .environment = ProcessEnvironment(), .flags = flags.values});
  if (!loaded.problems.empty()) {
    // A misspelled variable may be the reason for a problem.
    for (const std::string& warning : loaded.warnings) PrintError(absl::StrCat("warning: ", warning));
    return Refuse({kExitConfig, loaded.problems});
  }
  const ContainerLimits limits = ContainerLimits::Detect();
  ServePlan plan;
  const Refusal refusal = PlanServing(loaded.config, limits, &plan);
  if (refusal.exit_code != 0) return Refuse(refusal);
  auto credentials = LoadCredentials(loaded.config);
  if (!credentials.ok()) return Refuse({kExitConfig, {std::string(credentials.status().message())}});
  plan.warnings.insert(plan.warnings.begin(), loaded.warnings.begin(), loaded.warnings.end());
  if (const std::string warning = PlainTextWarning(loaded.config); !warning.empty()) plan.warnings.push_back(warning);
  if (flags.check_config) {
    for (const std::string& warning : plan.warnings) PrintError(absl::StrCat("warning: ", warning));
    std::printf("configuration is good; memory: %s\n", FormatBudget(plan.budget).c_str());
    return kExitOk;
  }
  SignalWatcher signals;  // before every other thread
  StartLogging(loaded.config.log().level(), loaded.config.log().format() == "json");
  RouteGrpcLog(loaded.config.log().max_call_lines_per_second(), &SteadyClock::Get());
  if (const std::string warning = RaiseOpenFilesLimit(); !warning.empty()) plan.warnings.push_back(warning);
  for (const std::string& warning : plan.warnings) spdlog::warn("{}", warning);
  spdlog::info("memory: {}", FormatBudget(plan.budget));
  const int exit_code = RunServer(loaded.config, plan, limits, &*credentials, &signals);
  StopLogging();
  return exit_code;
}

}  // namespace

void AddServeCommand(CLI::App& app, CommandBody* chosen) {
  auto flags = std::make_shared<ServeFlags>();
  CLI::App* command =
      app.add_subcommand("serve", "Serve models over gRPC. Flags override OCTET_* variables override the file.");
  command->add_option("--config", flags->file, "YAML file; config/octet.yaml shows every key")->envname("OCTET_CONFIG");
  command->add_option_function<std::vector<std::string>>(
      "--model",
      [flags](const std::vector<std::string>& models) {
        for (const std::string& model : models) flags->values.push_back({"--model", "models", model});
      },
      "NAME=DIR, or DIR for the name \"default\"; may be repeated");
  for (const FlagKey& flag : kFlagKeys) {
    command->add_option_function<std::string>(
        flag.flag,
        [flags, flag](const std::string& text) {
          flags->values.push_back({flag.flag, flag.key, text});
        },
        flag.help);
  }
  command->add_flag("--check-config", flags->check_config,
                    "Check configuration and models' shapes, open no port, load no weights");
  command->callback([flags, chosen] { *chosen = [flags] { return RunServe(*flags); }; });
}

}  // namespace octet::cli
