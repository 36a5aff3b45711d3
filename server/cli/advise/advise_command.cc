#include "server/cli/advise/advise_command.h"

#include <unistd.h>

#include <cstdio>
#include <iostream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/container_limits.h"
#include "base/cpu_isa.h"
#include "base/status_macros.h"
#include "model/encoder_config.h"
#include "model/model_directory.h"
#include "model/quote.h"
#include "server/cli/advise/advice.h"
#include "server/cli/advise/advice_cache.h"
#include "server/cli/advise/precision_speed.h"
#include "server/cli/evaluate/evaluation.h"
#include "server/cli/evaluate/load_variant.h"
#include "server/cli/exit_code.h"
#include "server/cli/made_variants.h"
#include "server/cli/progress.h"

namespace octet::cli {
namespace {

struct AdviseFlags {
  std::string model, calibration, cache, max_drop = "0.5%";
  TaskOptions task;
  bool can_train = false;
  int threads = 0;
};

// "0.5%" or "0.005".
absl::StatusOr<double> ParseShare(const std::string& text) {
  absl::string_view number = text;
  const bool is_percent = absl::ConsumeSuffix(&number, "%");
  double share = 0;
  if (!absl::SimpleAtod(number, &share) || !(share >= 0) || share > (is_percent ? 100 : 1)) {
    return absl::InvalidArgumentError(
        absl::StrCat("--max-drop: ", model::Quote(text), ": want a percentage, such as 0.5%, or a share of 1"));
  }
  return is_percent ? share / 100 : share;
}

// One line from the terminal; empty for none.
std::string Ask(const char* question) {
  std::fprintf(stderr, "%s ", question);
  std::string answer;
  std::getline(std::cin, answer);
  return std::string(absl::StripAsciiWhitespace(answer));
}

// What the flags leave open is asked of a person; a script gets what it gave.
void AskForWhatIsThere(AdviseFlags* flags) {
  if (isatty(STDIN_FILENO) == 0 || isatty(STDERR_FILENO) == 0) return;
  if (flags->calibration.empty()) {
    flags->calibration = Ask("A file of about 100 texts like those to be served, one a line (empty: none):");
  }
  if (flags->task.data.empty()) {
    flags->task.data = Ask("Labelled examples, to tell the loss in your metric (empty: none):");
    if (!flags->task.data.empty()) {
      flags->task.task = Ask("Their task (similarity, classification, retrieval, ...):");
    }
  }
  if (!flags->can_train) {
    flags->can_train = Ask("Could the model be trained further, with labelled training data (y/N)?").starts_with('y');
  }
}

// The examples to measure on: labelled ones, else the texts, else none.
absl::StatusOr<std::unique_ptr<Task>> TaskOf(const AdviseFlags& flags) {
  TaskOptions options = flags.task;
  if (options.data.empty()) {
    options.task = "closeness";
    options.data = flags.calibration;
  }
  return MakeTask(options);
}

void PrintAdvice(const AdviseFlags& flags, const Advice& advice) {
  std::string text = absl::StrCat("advice: ", advice.variant, "\nwhy:\n");
  for (const std::string& reason : advice.reasons) absl::StrAppend(&text, "  ", reason, "\n");
  std::string directory = flags.model;
  if (IsMadeVariant(advice.variant)) {
    directory = absl::StrCat(absl::StripSuffix(flags.model, "/"), "-", advice.variant);
    absl::StrAppend(&text, "make it:\n  octet quantize ", flags.model, " --method ", advice.variant, " --calibration ",
                    flags.calibration, " --out ", directory, "\n");
  }
  const bool is_float = advice.variant == kBaselineVariant || advice.variant == "bf16";
  absl::StrAppend(&text, "configuration:\n  models:\n    - directory: ", directory, "\n");
  absl::StrAppend(&text, "  engine:\n    precision: ", is_float ? advice.variant : "int8", "\n");
  if (!advice.next.empty()) text += "not tried:\n";
  for (const std::string& next : advice.next) absl::StrAppend(&text, "  ", next, "\n");
  std::fputs(text.c_str(), stdout);
}

std::vector<std::string> VariantsFor(const AdviseFlags& flags) {
  std::vector<std::string> variants = {kBaselineVariant, "bf16", "int8"};
  if (!flags.calibration.empty()) variants.insert(variants.end(), {"smooth", "static", "mixed"});
  return variants;
}

absl::Status CheckInputs(const AdviseFlags& flags) {
  ASSIGN_OR_RETURN(const auto directory, model::ModelDirectory::Open(flags.model));
  ASSIGN_OR_RETURN(const model::EncoderConfig config, model::ReadEncoderConfig(*directory));
  if (config.quantization) {
    return absl::InvalidArgumentError(
        "config.json: quantization_config: the weights are quantized already; take the directory that they were made "
        "from");
  }
  return absl::OkStatus();
}

// Variants measured on examples, and the one to take.
int AdviseOnExamples(const AdviseFlags& flags, const AdviceInputs& inputs, Isa isa, int num_threads) {
  const auto task = TaskOf(flags);
  if (!task.ok()) return Fail(task.status(), kExitConfig);
  EvaluationOptions options{
      .model_directory = flags.model, .variants = VariantsFor(flags), .isa = isa, .num_threads = num_threads};
  MadeVariants made({.model = flags.model, .calibration = flags.calibration, .isa = isa, .num_threads = num_threads});
  if (const int exit_code = made.Make(&options.variants); exit_code != kExitOk) return exit_code;
  Progress progress(STDERR_FILENO, {.is_terminal = StderrIsTerminal()}, &SteadyClock::Get());
  EvaluationStep step = EvaluationStep::kLoading;
  const auto results = RunEvaluation(options, task->get(), &progress, &step);
  progress.Clear();
  if (!results.ok()) return Fail(results.status(), step == EvaluationStep::kMeasuring ? kExitFailure : kExitModel);
  PrintAdvice(flags, ChooseVariant(*results, inputs));
  return kExitOk;
}

int RunAdvise(AdviseFlags flags) {
  const auto max_drop = ParseShare(flags.max_drop);
  if (!max_drop.ok()) return Fail(max_drop.status(), kExitConfig);
  const auto isa = IsaFromEnvironment();
  if (!isa.ok()) return Fail(isa.status(), kExitConfig);
  if (flags.task.data.empty() != flags.task.task.empty()) {
    return Fail(absl::InvalidArgumentError("--task and --data: give both or neither"), kExitConfig);
  }
  if (const absl::Status status = CheckInputs(flags); !status.ok()) return Fail(status, kExitModel);
  AskForWhatIsThere(&flags);
  const int num_threads = flags.threads > 0 ? flags.threads : ContainerLimits::Detect().NumThreads();
  flags.task.num_threads = num_threads;
  const AdviceInputs inputs{.max_drop = *max_drop,
                            .has_labels = !flags.task.data.empty(),
                            .has_calibration = !flags.calibration.empty(),
                            .can_train = flags.can_train};
  const bool has_examples = inputs.has_labels || inputs.has_calibration;
  if (!has_examples || !flags.cache.empty()) {
    const auto speeds = MeasurePrecisionSpeeds(flags.model, *isa, num_threads);
    if (!speeds.ok()) return Fail(speeds.status(), kExitModel);
    if (!flags.cache.empty()) {
      const absl::Status status = WriteAdvice(flags.cache, ThisMachine(*isa, num_threads), *speeds);
      if (!status.ok()) return Fail(status, kExitFailure);
    }
    if (!has_examples) {
      PrintAdvice(flags, ChooseBySpeed(*speeds, inputs));
      return kExitOk;
    }
  }
  return AdviseOnExamples(flags, inputs, *isa, num_threads);
}

}  // namespace

void AddAdviseCommand(CLI::App& app, CommandBody* chosen) {
  auto flags = std::make_shared<AdviseFlags>();
  CLI::App* command = app.add_subcommand(
      "advise", "Measure a model's variants on this machine and recommend one, with the reasons and the configuration");
  command->add_option("model", flags->model, "Model directory with float weights")->required();
  command->add_option("--calibration", flags->calibration,
                      "Texts like those to be served, one a line; without --data they also tell closeness to f32");
  command->add_option("--task", flags->task.task, "What --data holds: as for octet evaluate");
  command->add_option("--data", flags->task.data, "Labelled examples: as for octet evaluate");
  command->add_option("--labels", flags->task.labels, "As for octet evaluate");
  command->add_option("--dev", flags->task.dev, "As for octet evaluate");
  command->add_option("--where", flags->task.where, "As for octet evaluate");
  command->add_option("--columns", flags->task.columns, "As for octet evaluate")
      ->delimiter(',')
      ->allow_extra_args(false);
  command->add_option("--limit", flags->task.limit, "Only the first N examples")
      ->check(CLI::Range(uint64_t{1}, uint64_t{1} << 32));
  command->add_option("--max-drop", flags->max_drop, "Most that the main metric may lose against f32")
      ->capture_default_str();
  command->add_flag("--can-train", flags->can_train, "Labelled training data are there, and a way to train");
  command->add_option("--cache", flags->cache,
                      "Also keep the speeds of each precision for advice.cache of octet serve");
  command->add_option("--threads", flags->threads, "Default: the CPUs that the container may use")
      ->check(CLI::Range(1, 1024));
  command->callback([flags, chosen] { *chosen = [flags] { return RunAdvise(*flags); }; });
}

}  // namespace octet::cli
