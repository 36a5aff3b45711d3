#include "server/cli/evaluate/record_scanner.h"

#include <algorithm>

#include "absl/strings/str_split.h"
#include "base/status_macros.h"

namespace octet::cli {

DataFormat DetectFormat(absl::string_view content) {
  const size_t first = content.find_first_not_of(" \t\r\n");
  if (first != absl::string_view::npos && content[first] == '{') return DataFormat::kJsonLines;
  const absl::string_view line = content.substr(0, content.find('\n'));
  return line.find('\t') != absl::string_view::npos ? DataFormat::kTabs : DataFormat::kCommas;
}

RecordScanner::RecordScanner(const DataFile* file)
    : file_(file), format_(DetectFormat(file->content)), rest_(file->content) {}

absl::StatusOr<bool> RecordScanner::Next(std::vector<std::string>* fields) {
  if (rest_.find_first_not_of("\r\n") == absl::string_view::npos) return false;
  fields->clear();
  record_line_ = next_line_;
  if (format_ == DataFormat::kCommas) {
    RETURN_IF_ERROR(NextCommas(fields));
  } else if (format_ == DataFormat::kTabs) {
    *fields = absl::StrSplit(NextLine(), '\t');
  } else {
    fields->emplace_back(NextLine());
  }
  return true;
}

absl::string_view RecordScanner::NextLine() {
  const size_t end = std::min(rest_.find('\n'), rest_.size());
  absl::string_view line = rest_.substr(0, end);
  rest_.remove_prefix(std::min(end + 1, rest_.size()));
  ++next_line_;
  if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
  return line;
}

absl::Status RecordScanner::NextCommas(std::vector<std::string>* fields) {
  for (;;) {
    std::string& field = fields->emplace_back();
    if (!rest_.empty() && rest_.front() == '"') {
      RETURN_IF_ERROR(QuotedField(&field));
    } else {
      const size_t end = std::min(rest_.find_first_of(",\n"), rest_.size());
      field = std::string(rest_.substr(0, end));
      rest_.remove_prefix(end);
      if (!field.empty() && field.back() == '\r' && (rest_.empty() || rest_.front() == '\n')) field.pop_back();
    }
    const bool more = !rest_.empty() && rest_.front() == ',';
    if (!rest_.empty()) rest_.remove_prefix(1);
    if (!more) break;
  }
  ++next_line_;
  return absl::OkStatus();
}

absl::Status RecordScanner::QuotedField(std::string* field) {
  rest_.remove_prefix(1);
  for (;;) {
    const size_t quote = rest_.find('"');
    if (quote == absl::string_view::npos) {
      return LineError(file_->path, record_line_, "a quoted field that begins in this record is not closed");
    }
    field->append(rest_.data(), quote);
    rest_.remove_prefix(quote + 1);
    if (rest_.empty() || rest_.front() != '"') break;
    field->push_back('"');
    rest_.remove_prefix(1);
  }
  next_line_ += static_cast<uint64_t>(std::count(field->begin(), field->end(), '\n'));
  if (rest_.substr(0, 2) == "\r\n") rest_.remove_prefix(1);
  if (rest_.empty() || rest_.front() == ',' || rest_.front() == '\n') return absl::OkStatus();
  return LineError(file_->path, record_line_, "text after a closing quote; want a comma or the line's end");
}

}  // namespace octet::cli
