#include "server/cli/inspect/inspect_command.h"

#include <unistd.h>

#include <cstdio>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/container_limits.h"
#include "base/status_macros.h"
#include "server/cli/build_info.h"
#include "server/cli/evaluate/report_reader.h"
#include "server/cli/exit_code.h"
#include "server/cli/inspect/inspect_html.h"
#include "server/cli/inspect/inspect_json.h"
#include "server/cli/inspect/inspect_run.h"
#include "server/cli/inspect/inspect_table.h"
#include "server/cli/progress.h"
#include "server/cli/report/report_file.h"

namespace octet::cli {
namespace {

struct InspectFlags {
  InspectOptions options;
  std::string input_format = "auto";
  std::vector<std::string> reports;
  std::string json, html;
  int threads = 0;
  bool overwrite = false;
};

// Checks what can be checked before minutes of work, and reads the reports.
absl::StatusOr<std::vector<Report>> Settle(InspectFlags* flags) {
  InspectOptions& options = flags->options;
  ASSIGN_OR_RETURN(options.isa, IsaFromEnvironment());
  options.num_threads = flags->threads > 0 ? flags->threads : ContainerLimits::Detect().NumThreads();
  options.calibration.is_json = IsJsonLines(flags->input_format, options.calibration.path);
  if (!flags->reports.empty() && flags->html.empty()) {
    return absl::InvalidArgumentError("--report: drawn on the page only; add --html FILE");
  }
  for (const std::string& path : {flags->json, flags->html}) {
    if (!path.empty()) RETURN_IF_ERROR(CheckReportFile(path, flags->overwrite));
  }
  std::vector<Report> reports;
  for (const std::string& path : flags->reports) {
    ASSIGN_OR_RETURN(Report report, ReadReport(path));
    reports.push_back(std::move(report));
  }
  return MergeReports(reports);
}

int FailedRun(const absl::Status& status, InspectStep step) {
  switch (step) {
    case InspectStep::kLoading:
      return Fail(absl::Status(status.code(), absl::StrCat("model refused: ", status.message())), kExitModel);
    case InspectStep::kCheckingFlags:
      return Fail(status, kExitConfig);
    case InspectStep::kInspecting:
      return Fail(status, kExitFailure);
  }
  return kExitFailure;
}

int Inspect(InspectFlags flags) {
  auto reports = Settle(&flags);
  if (!reports.ok()) return Fail(reports.status(), kExitConfig);
  Progress progress(STDERR_FILENO, {.is_terminal = StderrIsTerminal()}, &SteadyClock::Get());
  InspectStep step = InspectStep::kLoading;
  auto inspection = RunInspect(flags.options, &progress, &step);
  progress.Clear();
  if (!inspection.ok()) return FailedRun(inspection.status(), step);
  inspection->octet_version = GetBuildInfo().version;
  inspection->octet_commit = GetBuildInfo().commit;
  inspection->reports = *std::move(reports);
  // The table first: what took minutes must not be lost with a full disk.
  std::fputs(TerminalInspection(*inspection).c_str(), stdout);
  const std::pair<const std::string&, std::string (*)(const Inspection&)> files[] = {{flags.json, JsonInspection},
                                                                                     {flags.html, HtmlInspection}};
  for (const auto& [path, format] : files) {
    if (path.empty()) continue;
    if (const absl::Status status = WriteReportFile(path, format(*inspection)); !status.ok()) {
      return Fail(status, kExitFailure);
    }
  }
  return kExitOk;
}

}  // namespace

void AddInspectCommand(CLI::App& app, CommandBody* chosen) {
  auto flags = std::make_shared<InspectFlags>();
  InspectOptions& options = flags->options;
  CLI::App* command = app.add_subcommand(
      "inspect", "Show what quantization does to each linear layer of a model: values, outliers, signal to noise");
  command->add_option("model", options.model, "Model directory, of floats or made by octet quantize")->required();
  command->add_option("--floats", options.floats, "Of a quantized model: the directory that it was made from");
  command->add_option("--calibration", options.calibration.path,
                      "File of texts, one a line: looks at inputs and outputs too");
  command
      ->add_option("--input-format", flags->input_format, "text, jsonl ({\"text\": ...}) or auto: jsonl by file name")
      ->check(CLI::IsMember({"auto", "text", "jsonl"}));
  command->add_option("--max-texts", options.calibration.max_texts, "Use the first so many texts; default all");
  command
      ->add_option("--report", flags->reports,
                   "JSON reports of octet evaluate, whose variants the page draws; may be given several times")
      ->allow_extra_args(false);
  command->add_option("--json", flags->json, "Write the findings as JSON (docs/inspect.schema.json)");
  command->add_option("--html", flags->html, "Write them as one HTML page, with histograms");
  command->add_flag("--overwrite", flags->overwrite, "Replace report files that exist");
  command->add_option("--threads", flags->threads, "Default: the CPUs that the container may use")
      ->check(CLI::Range(1, 1024));
  command->callback([flags, chosen] { *chosen = [flags] { return Inspect(*flags); }; });
}

}  // namespace octet::cli
