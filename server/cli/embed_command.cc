// `octet embed`: a file of texts to a file of vectors, without a server.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/container_limits.h"
#include "base/status_macros.h"
#include "server/cli/command.h"
#include "server/cli/embed_model.h"
#include "server/cli/embed_output.h"
#include "server/cli/embed_scheduler.h"
#include "server/cli/exit_code.h"
#include "server/cli/progress.h"

namespace octet::cli {
namespace {

struct EmbedFlags {
  std::string model, input, output, npy, precision = "int8", input_format = "auto";
  int threads = 0;
  bool overwrite = false;
  bool no_truncate = false;
};

// One run of the command; fields in the order in which they come to be.
struct EmbedRun {
  const EmbedFlags& flags;
  Progress progress;
  int input_fd = STDIN_FILENO;
  uint64_t input_bytes = 0;  // 0: not known
  bool is_json = false;
  EmbedModel loaded;
  std::unique_ptr<EmbedOutput> output;
  MonotonicTime start;
  uint64_t num_texts = 0, num_tokens = 0, num_truncated = 0;

  explicit EmbedRun(const EmbedFlags& run_flags)
      : flags(run_flags), progress(STDERR_FILENO, {.is_terminal = StderrIsTerminal()}, &SteadyClock::Get()) {}
  ~EmbedRun() {
    if (input_fd > STDERR_FILENO) close(input_fd);
  }
};

absl::Status OpenInput(EmbedRun* run) {
  const std::string& path = run->flags.input;
  if (!path.empty() && path != "-") {
    run->input_fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (run->input_fd < 0) return absl::NotFoundError(absl::StrCat("cannot read ", path));
  }
  struct stat status;
  if (fstat(run->input_fd, &status) == 0 && S_ISREG(status.st_mode)) {
    run->input_bytes = static_cast<uint64_t>(status.st_size);
  }
  run->is_json =
      run->flags.input_format == "jsonl" || (run->flags.input_format == "auto" && absl::EndsWith(path, ".jsonl"));
  return absl::OkStatus();
}

absl::Status LoadModel(EmbedRun* run) {
  EmbedModelOptions options;
  ASSIGN_OR_RETURN(options.isa, IsaFromEnvironment());
  ASSIGN_OR_RETURN(options.precision, model::ParsePrecision(run->flags.precision));
  options.progress = [run](absl::string_view phase, uint64_t done, uint64_t total) {
    run->progress.Update(phase, done, total, "");
  };
  ASSIGN_OR_RETURN(run->loaded, LoadEmbedModel(run->flags.model, options));
  run->progress.Clear();
  if (const model::Task task = run->loaded.model->info().task; task != model::Task::kEmbedding) {
    return absl::InvalidArgumentError(absl::StrCat("its task is ", model::TaskName(task), ", not embedding"));
  }
  return absl::OkStatus();
}

absl::Status OpenOutput(EmbedRun* run) {
  const bool is_npy = !run->flags.npy.empty();
  OutputOptions options;
  options.path = is_npy ? run->flags.npy : run->flags.output == "-" ? "" : run->flags.output;
  options.format = is_npy ? OutputFormat::kNpy : OutputFormat::kJsonLines;
  options.dimensions = run->loaded.model->info().hidden_dim;
  options.overwrite = run->flags.overwrite;
  options.fingerprint =
      absl::StrCat("octet embed\nmodel ", run->loaded.model->info().fingerprint, "\nformat ", is_npy ? "npy" : "jsonl",
                   "\ninput ", run->is_json ? "jsonl" : "text", "\ntruncate ", !run->flags.no_truncate, "\n");
  ASSIGN_OR_RETURN(run->output, EmbedOutput::Open(options));
  return absl::OkStatus();
}

// Writes the window's rows up to its first failed text, whose status is returned.
absl::Status WriteWindow(const EmbedWindow& window, const LineReader& reader, EmbedRun* run) {
  std::string rows;
  uint64_t num_rows = 0, input_hash = 0;
  absl::Status failed;
  for (const EmbedItem& item : window.items) {
    if (!item.status.ok()) {
      failed = absl::Status(item.status.code(),
                            absl::StrCat("text with id ", item.input.id_json, ": ", item.status.message()));
      break;
    }
    rows += item.row;
    ++num_rows;
    input_hash = item.input_hash;
    run->num_tokens += item.num_tokens;
    run->num_truncated += item.truncated;
  }
  if (num_rows > 0) RETURN_IF_ERROR(run->output->Write(rows, num_rows, input_hash));
  run->num_texts += num_rows;
  const double seconds = absl::ToDoubleSeconds(SteadyClock::Get().Now() - run->start);
  run->progress.Update("embedding", reader.bytes_read(), run->input_bytes,
                       absl::StrFormat("%d texts, %.0f/s", run->num_texts, run->num_texts / seconds));
  return failed;
}

// Reads the next window; an empty one at the end. `line` holds the next line when `has_line`.
absl::Status ReadWindow(LineReader* reader, std::string* line, bool* has_line, bool is_json, EmbedWindow* window) {
  size_t bytes = 0;
  while (*has_line && window->items.size() < kWindowTexts && bytes < kWindowBytes) {
    EmbedItem item;
    ASSIGN_OR_RETURN(item.input, ParseInputLine(*line, is_json, reader->num_lines()));
    item.input_hash = reader->hash();
    bytes += item.input.text.size();
    window->items.push_back(std::move(item));
    ASSIGN_OR_RETURN(*has_line, reader->Next(line));
  }
  return absl::OkStatus();
}

// Passes over the inputs whose rows an earlier run has written; they must be the ones it read.
absl::Status SkipFound(const Checkpoint& found, LineReader* reader, std::string* line, bool* has_line) {
  uint64_t hash = found.input_hash, i = 0;
  for (; i < found.num_rows && *has_line; ++i) {
    hash = reader->hash();
    ASSIGN_OR_RETURN(*has_line, reader->Next(line));
  }
  if (i == found.num_rows && hash == found.input_hash) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat("the partial output has ", found.num_rows,
                                                    " rows, made from other lines than the input's first; give "
                                                    "--overwrite or remove it"));
}

// What was read before an error in the input is still computed and written; so a second run, with the line
// repaired, goes on from there.
absl::Status EmbedAll(int num_threads, EmbedRun* run) {
  LineReader reader(run->input_fd);
  std::string line;
  ASSIGN_OR_RETURN(bool has_line, reader.Next(&line));
  RETURN_IF_ERROR(OpenOutput(run));
  RETURN_IF_ERROR(SkipFound(run->output->found(), &reader, &line, &has_line));
  const OutputFormat format = run->flags.npy.empty() ? OutputFormat::kJsonLines : OutputFormat::kNpy;
  EmbedScheduler scheduler(run->loaded.model.get(),
                           {.num_threads = num_threads,
                            .max_batch_tokens = run->loaded.max_batch_tokens,
                            .truncate = !run->flags.no_truncate,
                            .deliver = [format](EmbedItem* item, std::span<const float> embedding) {
                              item->row = FormatRow(format, item->input.id_json, embedding, item->num_tokens);
                            }});
  absl::Status read_status;
  for (;;) {
    while (has_line && read_status.ok() && scheduler.num_windows() < kMaxWindows) {
      auto window = std::make_unique<EmbedWindow>();
      read_status = ReadWindow(&reader, &line, &has_line, run->is_json, window.get());
      if (!window->items.empty()) scheduler.Submit(std::move(window));
    }
    if (scheduler.num_windows() == 0) break;
    RETURN_IF_ERROR(WriteWindow(*scheduler.TakeOldest(), reader, run));
  }
  RETURN_IF_ERROR(read_status);
  return run->output->Finish();
}

void PrintSummary(const EmbedRun& run) {
  const double seconds = absl::ToDoubleSeconds(SteadyClock::Get().Now() - run.start);
  std::string line =
      absl::StrFormat("octet: %d texts, %d tokens in %.1f s (%.0f texts/s, %.0f tokens/s)", run.num_texts,
                      run.num_tokens, seconds, run.num_texts / seconds, run.num_tokens / seconds);
  if (run.output->found().num_rows > 0) {
    absl::StrAppend(&line, ", continued after ", run.output->found().num_rows, " rows");
  }
  if (run.num_truncated > 0) absl::StrAppend(&line, ", ", run.num_truncated, " texts cut to the model's limit");
  std::fprintf(stderr, "%s\n", line.c_str());
}

int RunEmbed(const EmbedFlags& flags) {
  EmbedRun run(flags);
  const int available = ContainerLimits::Detect().NumThreads();
  const int num_threads = flags.threads > 0 ? flags.threads : available;
  const auto fail = [&](const absl::Status& status, int exit_code) {
    run.progress.Clear();
    PrintError(std::string(status.message()));
    return exit_code;
  };
  if (const absl::Status status = OpenInput(&run); !status.ok()) return fail(status, kExitConfig);
  if (const auto isa = IsaFromEnvironment(); !isa.ok()) return fail(isa.status(), kExitConfig);
  if (const absl::Status status = LoadModel(&run); !status.ok()) {
    return fail(absl::Status(status.code(), absl::StrCat("model refused: ", status.message())), kExitModel);
  }
  run.start = SteadyClock::Get().Now();
  const absl::Status status = EmbedAll(num_threads, &run);
  if (!status.ok()) return fail(status, run.output == nullptr ? kExitConfig : kExitFailure);
  run.progress.Clear();
  PrintSummary(run);
  return kExitOk;
}

}  // namespace

void AddEmbedCommand(CLI::App& app, CommandBody* chosen) {
  auto flags = std::make_shared<EmbedFlags>();
  CLI::App* command = app.add_subcommand(
      "embed",
      "Turn lines of text into vectors, in input order. Started again after an interruption, it goes "
      "on where it stopped.");
  command->add_option("--model", flags->model, "Model directory")->required();
  command->add_option("input", flags->input, "File of texts, one a line; default stdin");
  command->add_option("-o,--output", flags->output, "File of JSON lines; default stdout (cannot be continued)");
  command->add_option("--npy", flags->npy, "NumPy file of f32 rows instead")->excludes("--output");
  command
      ->add_option("--input-format", flags->input_format,
                   "text: a line is a text; jsonl: {\"id\": ..., \"text\": ...}; auto: jsonl by file name")
      ->check(CLI::IsMember({"auto", "text", "jsonl"}));
  command->add_option("--precision", flags->precision, "Arithmetic of the linear layers")
      ->check(CLI::IsMember({"int8", "bf16", "f32"}))
      ->capture_default_str();
  command->add_option("--threads", flags->threads, "Default: the CPUs that the container may use")
      ->check(CLI::Range(1, 1024));
  command->add_flag("--no-truncate", flags->no_truncate, "Fail on a text longer than the model's limit");
  command->add_flag("--overwrite", flags->overwrite, "Replace existing output, partial or whole");
  command->callback([flags, chosen] { *chosen = [flags] { return RunEmbed(*flags); }; });
}

}  // namespace octet::cli
