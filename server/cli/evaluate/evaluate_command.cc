#include "server/cli/evaluate/evaluate_command.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <iterator>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/container_limits.h"
#include "base/cpu_isa.h"
#include "base/status_macros.h"
#include "server/cli/build_info.h"
#include "server/cli/evaluate/evaluation.h"
#include "server/cli/evaluate/load_variant.h"
#include "server/cli/evaluate/report_html.h"
#include "server/cli/evaluate/report_json.h"
#include "server/cli/evaluate/report_table.h"
#include "server/cli/exit_code.h"
#include "server/cli/made_variants.h"
#include "server/cli/progress.h"
#include "server/cli/report/path_name.h"
#include "server/cli/report/report_file.h"

namespace octet::cli {
namespace {

constexpr char kDataHelp[] =
    R"(Data, told by content (JSON lines begin with "{"; tab-separated files have a tab in their first line, and quotes
are plain characters in them; otherwise comma-separated with quotes as in RFC 4180):
  similarity      columns sentence1, sentence2, score (or text1, text2, score); without a header just these three
  classification  columns text, label; without a header the first two. Labels are indices, or names with --labels;
                  several are separated by commas
  retrieval       a folder in BEIR's layout: queries.jsonl, corpus.jsonl, qrels/SPLIT.tsv
  tokens          a word a line, its label in the last column, an empty line between sentences (CoNLL); or JSON lines
                  with tokens and labels (or ner_tags: indices into the names of --labels)
  closeness       texts without labels, one a line or JSON lines with "text": the cosine to f32's answers
Metrics: similarity: Spearman, Pearson of the cosine with the score. classification: accuracy, micro and macro F1.
retrieval: nDCG@10, recall@10, MRR@10. tokens: micro F1, precision and recall of entities, accuracy of words.
See docs/quantization.md.

)";

struct EvaluateFlags {
  std::string model;
  TaskOptions task;
  std::vector<std::string> variants = {"f32", "bf16", "int8"};
  std::string calibration;
  std::string json, markdown, html;
  int threads = 0;
  bool overwrite = false;
};

// The flags that change the numbers and are not told elsewhere in the report.
std::vector<std::pair<std::string, std::string>> OptionsOf(const EvaluateFlags& flags) {
  std::vector<std::pair<std::string, std::string>> options;
  const auto add = [&](const char* flag, const std::string& value) {
    if (!value.empty()) options.emplace_back(flag, value);
  };
  add("calibration", PathName(flags.calibration));
  add("labels", PathName(flags.task.labels));
  add("dev", PathName(flags.task.dev));
  add("columns", absl::StrJoin(flags.task.columns, ","));
  add("where", flags.task.where);
  if (flags.task.task == "retrieval") add("split", flags.task.split);
  add("query-prompt", flags.task.query_prompt.value_or(""));
  add("document-prompt", flags.task.document_prompt.value_or(""));
  if (flags.task.limit != 0) options.emplace_back("limit", absl::StrCat(flags.task.limit));
  return options;
}

Report DescribeRun(const EvaluateFlags& flags, const EvaluationOptions& run, const Task& task) {
  const BuildInfo build = GetBuildInfo();
  return {.octet_version = build.version,
          .octet_commit = build.commit,
          .machine_isa = std::string(IsaName(DetectIsa())),
          .isa = std::string(IsaName(run.isa)),
          .num_threads = run.num_threads,
          .model_name = PathName(flags.model),
          .task = task.description(),
          .bootstrap = flags.task.bootstrap,
          .settings = task.settings(),
          .options = OptionsOf(flags),
          .variants = {}};
}

struct OutputFile {
  const std::string& path;  // "": not asked for
  std::string (*format)(const Report&);
};
std::vector<OutputFile> OutputFilesOf(const EvaluateFlags& flags) {
  return {{flags.json, JsonReport}, {flags.markdown, MarkdownReport}, {flags.html, HtmlReport}};
}

absl::Status CheckFlags(const EvaluateFlags& flags) {
  std::vector<std::string> ready;  // the others are made
  std::copy_if(flags.variants.begin(), flags.variants.end(), std::back_inserter(ready),
               [](const std::string& name) { return !IsMadeVariant(name); });
  RETURN_IF_ERROR(CheckVariantNames(ready));
  const bool has_baseline =
      std::find(flags.variants.begin(), flags.variants.end(), kBaselineVariant) != flags.variants.end();
  if (flags.task.task == "closeness" && !has_baseline) {
    return absl::InvalidArgumentError("--task closeness: to f32; add f32 to --variants");
  }
  if (!flags.task.dev.empty() && !has_baseline) {
    return absl::InvalidArgumentError("--dev: the threshold is taken from f32; add f32 to --variants");
  }
  for (const OutputFile& file : OutputFilesOf(flags)) {
    if (!file.path.empty()) RETURN_IF_ERROR(CheckReportFile(file.path, flags.overwrite));
  }
  return absl::OkStatus();
}

int RunEvaluate(EvaluateFlags flags) {
  if (const absl::Status status = CheckFlags(flags); !status.ok()) return Fail(status, kExitConfig);
  const auto isa = IsaFromEnvironment();
  if (!isa.ok()) return Fail(isa.status(), kExitConfig);
  EvaluationOptions options{.model_directory = flags.model,
                            .variants = flags.variants,
                            .isa = *isa,
                            .num_threads = flags.threads > 0 ? flags.threads : ContainerLimits::Detect().NumThreads()};
  flags.task.num_threads = options.num_threads;
  MadeVariants made(
      {.model = flags.model, .calibration = flags.calibration, .isa = *isa, .num_threads = options.num_threads});
  if (const absl::Status status = made.Check(flags.variants); !status.ok()) return Fail(status, kExitConfig);
  const auto task = MakeTask(flags.task);
  if (!task.ok()) return Fail(task.status(), kExitConfig);
  if (const int exit_code = made.Make(&options.variants); exit_code != kExitOk) return exit_code;
  // Only now is it known what the made ones are called: "static" and a directory of that name.
  if (const absl::Status status = CheckVariantNames(options.variants); !status.ok()) return Fail(status, kExitConfig);

  Progress progress(STDERR_FILENO, {.is_terminal = StderrIsTerminal()}, &SteadyClock::Get());
  EvaluationStep step = EvaluationStep::kLoading;
  auto variants = RunEvaluation(options, task->get(), &progress, &step);
  progress.Clear();
  if (!variants.ok()) {
    return step == EvaluationStep::kMeasuring
               ? Fail(variants.status(), kExitFailure)
               : Fail(absl::Status(variants.status().code(),
                                   absl::StrCat("model refused: ", variants.status().message())),
                      kExitModel);
  }
  Report report = DescribeRun(flags, options, **task);
  report.variants = *std::move(variants);
  // The table first: what took minutes must not be lost with a full disk.
  std::fputs(TerminalReport(report).c_str(), stdout);
  for (const OutputFile& file : OutputFilesOf(flags)) {
    if (file.path.empty()) continue;
    if (const absl::Status status = WriteReportFile(file.path, file.format(report)); !status.ok()) {
      return Fail(status, kExitFailure);
    }
  }
  return kExitOk;
}

void AddTaskOptions(CLI::App* command, TaskOptions* task) {
  command
      ->add_option("--task", task->task,
                   "similarity, classification, retrieval, tokens or closeness (texts without labels)")
      ->required();
  command->add_option("--data", task->data, "File of labelled examples; for retrieval a folder")->required();
  command->add_option("--labels", task->labels,
                      "Classification, tokens: file of label names, one a line, in index order");
  command->add_option("--dev", task->dev,
                      "Classification with several labels a text: file to take f32's threshold from");
  command
      ->add_option("--columns", task->columns,
                   "Columns to read, by name (the file has a header) or position from 1 (it has none): "
                   "sentence1,sentence2,score or text,label")
      ->delimiter(',')
      ->allow_extra_args(false);
  command->add_option("--where", task->where, "COLUMN=VALUE: only such examples, for instance split=test");
  command->add_option("--split", task->split, "Retrieval: which of the qrels files")->capture_default_str();
  command->add_option("--query-prompt", task->query_prompt, "Retrieval: the model's prompt for queries, by name");
  command->add_option("--document-prompt", task->document_prompt, "Retrieval: the model's prompt for documents");
  command->add_option("--limit", task->limit, "Only the first N examples (pairs, texts, queries, sentences)")
      ->check(CLI::Range(uint64_t{1}, uint64_t{1} << 32));
}

}  // namespace

void AddEvaluateCommand(CLI::App& app, CommandBody* chosen) {
  auto flags = std::make_shared<EvaluateFlags>();
  CLI::App* command = app.add_subcommand(
      "evaluate",
      "Measure accuracy, speed and size of a model's variants on a labelled task, with the engine that serves");
  command->footer(kDataHelp);
  command->add_option("model", flags->model, "Model directory")->required();
  AddTaskOptions(command, &flags->task);
  command
      ->add_option(
          "--variants", flags->variants,
          "f32, bf16, int8 (as served), dynamic (int8 without factors), per_text, moving_average (int8 with other "
          "activation ranges), smooth, static, mixed (made as octet quantize does, from --calibration), or "
          "directories of models")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->capture_default_str();
  command->add_option("--calibration", flags->calibration, "Texts to make smooth, static and mixed with, one a line");
  command->add_option("--json", flags->json, "Write the report as JSON (docs/evaluate.schema.json)");
  command->add_option("--markdown", flags->markdown, "Write the report as Markdown");
  command->add_option("--html", flags->html, "Write the report as one HTML page");
  command->add_flag("--overwrite", flags->overwrite, "Replace report files that exist");
  command->add_option("--threads", flags->threads, "Default: the CPUs that the container may use")
      ->check(CLI::Range(1, 1024));
  command->callback([flags, chosen] { *chosen = [flags] { return RunEvaluate(*flags); }; });
}

}  // namespace octet::cli
