#include "server/cli/calibration_file.h"

#include <fcntl.h>
#include <unistd.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "model/sha256.h"
#include "server/cli/embed_input.h"

namespace octet::cli {
namespace {

using AddText = absl::FunctionRef<void(uint64_t number, std::span<const int32_t> ids)>;

absl::Status AddLine(const std::string& line, uint64_t line_number, const CalibrationFile& file,
                     const model::TextModel& model, AddText add, CalibrationSummary* summary) {
  ASSIGN_OR_RETURN(const InputText input, ParseInputLine(line, file.is_json, line_number));
  if (input.text.empty()) return absl::OkStatus();
  const auto encoding = model.Tokenize(input.text, {.truncate = true, .prompt_name = {}});
  if (!encoding.ok()) {
    return absl::Status(encoding.status().code(),
                        absl::StrCat(file.path, ": line ", line_number, ": ", encoding.status().message()));
  }
  ++summary->num_texts;
  summary->num_tokens += encoding->ids.size();
  summary->num_truncated += encoding->truncated();
  add(summary->num_texts, encoding->ids);
  return absl::OkStatus();
}

absl::StatusOr<CalibrationSummary> ReadLines(int fd, const CalibrationFile& file, const model::TextModel& model,
                                             AddText add) {
  LineReader reader(fd);
  model::Sha256 digest;
  CalibrationSummary summary;
  std::string line;
  for (;;) {
    ASSIGN_OR_RETURN(const bool has_line, reader.Next(&line));
    if (!has_line || (file.max_texts != 0 && summary.num_texts == file.max_texts)) break;
    digest.Update(line);
    digest.Update("\n");
    RETURN_IF_ERROR(AddLine(line, reader.num_lines(), file, model, add, &summary));
  }
  if (summary.num_texts == 0) return absl::InvalidArgumentError(absl::StrCat(file.path, ": no texts"));
  summary.sha256 = digest.FinishHex();
  return summary;
}

}  // namespace

bool IsJsonLines(absl::string_view format, absl::string_view path) {
  return format == "jsonl" || (format == "auto" && absl::EndsWith(path, ".jsonl"));
}

absl::StatusOr<CalibrationSummary> ReadCalibrationFile(const CalibrationFile& file, const model::TextModel& model,
                                                       AddText add) {
  const int fd = open(file.path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return absl::NotFoundError(absl::StrCat("cannot read ", file.path));
  auto summary = ReadLines(fd, file, model, add);
  close(fd);
  return summary;
}

}  // namespace octet::cli
