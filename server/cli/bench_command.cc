#include "server/cli/bench_command.h"

#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/container_limits.h"
#include "model/encoder_config.h"
#include "model/model_directory.h"
#include "server/cli/bench.h"
#include "server/cli/exit_code.h"

namespace octet::cli {
namespace {

struct BenchFlags {
  BenchOptions options;
  std::string precision = "int8", method;
  int threads = 0;
  bool requests = false, sweep = false;
};

int RunBench(const BenchFlags& flags) {
  BenchOptions options = flags.options;
  const auto isa = IsaFromEnvironment();
  if (!isa.ok()) {
    PrintError(std::string(isa.status().message()));
    return kExitConfig;
  }
  options.isa = *isa;
  options.precision = *model::ParsePrecision(flags.precision);  // checked by its flag
  if (!flags.method.empty()) {
    options.method = *model::ParseTechnique(flags.method);
    if (options.precision != model::Precision::kInt8) {
      PrintError(absl::StrCat("--method ", flags.method, ": int8 alone is quantized; leave it out with --precision ",
                              flags.precision));
      return kExitConfig;
    }
  }
  options.num_threads = flags.threads > 0 ? flags.threads : ContainerLimits::Detect().NumThreads();
  // The model's shape alone tells a refused model from a failed run.
  const auto directory = model::ModelDirectory::Open(options.model_directory);
  const auto config = directory.ok() ? model::ReadEncoderConfig(**directory) : directory.status();
  if (!config.ok()) {
    PrintError(absl::StrCat("model refused: ", config.status().message()));
    return kExitModel;
  }
  if (!flags.method.empty() && config->quantization) {
    PrintError(absl::StrCat("--method ", flags.method, ": the directory is quantized (",
                            config->quantization->technique, "); leave it out"));
    return kExitConfig;
  }
  const absl::Status status = flags.requests ? RunBenchRequests(options, std::cin, std::cout)
                              : flags.sweep  ? RunBenchSweep(options, std::cout)
                                             : RunBenchTable(options, std::cout);
  if (status.ok()) return kExitOk;
  PrintError(std::string(status.message()));
  return kExitFailure;
}

}  // namespace

void AddBenchCommand(CLI::App& app, CommandBody* chosen) {
  auto flags = std::make_shared<BenchFlags>();
  CLI::App* command = app.add_subcommand("bench", "Measure latency and throughput of a model, without a server");
  command->add_option("--model", flags->options.model_directory, "Model directory")->required();
  command->add_option("--precision", flags->precision, "Arithmetic of the linear layers")
      ->check(CLI::IsMember({"int8", "bf16", "f32"}))
      ->capture_default_str();
  command->add_option("--method", flags->method, "How a directory of floats is quantized; default: smooth, as served")
      ->check(CLI::IsMember({"dynamic", "smooth"}));
  command->add_option("--threads", flags->threads, "Default: the CPUs that the container may use")
      ->check(CLI::Range(1, 1024));
  CLI::Option* json = command->add_flag("--json", flags->options.json, "One JSON object instead of the table");
  // All that the table alone heeds.
  CLI::Option* const of_table[] = {
      json,
      command->add_option("--compare", flags->options.compare_file, "Output of an earlier --json to compare with")
          ->excludes(json),
      command->add_option("--lengths", flags->options.lengths, "Tokens of a text, such as 16,128")->delimiter(','),
      command->add_option("--batches", flags->options.batches, "Texts of a batch, such as 1,8")->delimiter(','),
      command->add_option("--seconds", flags->options.seconds_per_case, "Time of one case")
          ->check(CLI::PositiveNumber)
          ->capture_default_str(),
      command->add_flag("--profile", flags->options.profile, "Show where the time of each case goes"),
  };
  CLI::Option* requests = command->add_flag("--requests", flags->requests,
                                            "Read paths of request files from stdin, answer each with a line of JSON");
  CLI::Option* sweep =
      command->add_flag("--sweep", flags->sweep, "Time one text of every length and name those that stick out")
          ->excludes(requests);
  for (CLI::Option* option : of_table) {
    requests->excludes(option);
    sweep->excludes(option);
  }
  command->callback([flags, chosen] { *chosen = [flags] { return RunBench(*flags); }; });
}

}  // namespace octet::cli
