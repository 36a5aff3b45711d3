// `octet quantize`: a float model directory to a quantized one.
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/container_limits.h"
#include "base/status_macros.h"
#include "server/cli/command.h"
#include "server/cli/exit_code.h"
#include "server/cli/quantize_run.h"

namespace octet::cli {
namespace {

struct QuantizeFlags {
  QuantizeOptions options;
  std::string method = "smooth", observer = "min_max", input_format = "auto";
  int threads = 0;
};

absl::Status Settle(QuantizeFlags* flags) {
  QuantizeOptions& options = flags->options;
  model::TechniqueOptions& technique = options.technique;
  ASSIGN_OR_RETURN(technique.isa, IsaFromEnvironment());
  ASSIGN_OR_RETURN(technique.technique, model::ParseTechnique(flags->method));
  ASSIGN_OR_RETURN(technique.observer, model::ParseRangeObserver(flags->observer));
  technique.num_threads = flags->threads > 0 ? flags->threads : ContainerLimits::Detect().NumThreads();
  options.calibration.is_json = IsJsonLines(flags->input_format, options.calibration.path);
  const bool needs_texts =
      technique.technique == model::Technique::kStatic || technique.technique == model::Technique::kMixed;
  if (needs_texts && options.calibration.path.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--method ", flags->method, " needs --calibration FILE, about 100 texts of the kind to be served"));
  }
  if (technique.clipping_search && !technique.compensation) {
    return absl::InvalidArgumentError("--clipping-search is part of compensated rounding; drop --no-compensation");
  }
  return absl::OkStatus();
}

int Quantize(QuantizeFlags flags) {
  if (const absl::Status status = Settle(&flags); !status.ok()) {
    PrintError(std::string(status.message()));
    return kExitConfig;
  }
  return RunQuantize(flags.options);
}

}  // namespace

void AddQuantizeCommand(CLI::App& app, CommandBody* chosen) {
  auto flags = std::make_shared<QuantizeFlags>();
  QuantizeOptions& options = flags->options;
  CLI::App* command = app.add_subcommand(
      "quantize",
      "Make a quantized model directory, which is served as any other. Started again after an interruption, it goes "
      "on where it stopped.");
  command->add_option("model", options.model, "Model directory with float weights")->required();
  command->add_option("--out", options.out, "Directory to make")->required();
  command
      ->add_option(
          "--method", flags->method,
          "dynamic: weights only; smooth: input factors and, with texts, compensated rounding; static: fixed ranges "
          "besides; mixed: the most sensitive layers in floats")
      ->check(CLI::IsMember({"dynamic", "smooth", "static", "mixed"}))
      ->capture_default_str();
  command->add_option("--calibration", options.calibration.path, "File of texts, one a line; every eighth is held out");
  command
      ->add_option("--input-format", flags->input_format, "text, jsonl ({\"text\": ...}) or auto: jsonl by file name")
      ->check(CLI::IsMember({"auto", "text", "jsonl"}));
  command->add_option("--max-texts", options.calibration.max_texts, "Use the first so many texts; default all");
  command->add_option("--observer", flags->observer, "How --method static chooses ranges")
      ->check(CLI::IsMember({"min_max", "moving_average", "percentile", "entropy", "mse"}))
      ->capture_default_str();
  command->add_option("--min-cosine-mean", options.limit.cosine_mean, "--method mixed: closeness to f32 to reach")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  command->add_option("--min-cosine-min", options.limit.cosine_min, "--method mixed: of the worst text")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  command->add_flag("!--no-smoothing", options.technique.smoothing, "No input factors");
  command->add_flag("!--no-compensation", options.technique.compensation, "Round weights to nearest");
  command->add_flag("--clipping-search", options.technique.clipping_search,
                    "Try scales that clip the largest weights of an output channel too");
  command->add_flag("!--no-bias-correction", options.technique.bias_correction, "Leave biases as they are");
  command->add_option("--threads", flags->threads, "Default: the CPUs that the container may use")
      ->check(CLI::Range(1, 1024));
  command->add_flag("--overwrite", options.overwrite, "Replace the directory if it exists");
  command->callback([flags, chosen] { *chosen = [flags] { return Quantize(*flags); }; });
}

}  // namespace octet::cli
