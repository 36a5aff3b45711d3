// Splits a data file into records and their fields. The format is told by the content: JSON lines when the first
// character is "{", tab-separated when the first line has a tab, comma-separated otherwise. In tab-separated files
// quotes are plain characters; in comma-separated ones they work as in RFC 4180 (a field may hold commas, line ends and
// doubled quotes). Not thread-safe.
#ifndef OCTET_SERVER_CLI_EVALUATE_RECORD_SCANNER_H_
#define OCTET_SERVER_CLI_EVALUATE_RECORD_SCANNER_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/cli/evaluate/data_file.h"

namespace octet::cli {

enum class DataFormat { kJsonLines, kTabs, kCommas };
DataFormat DetectFormat(absl::string_view content);

class RecordScanner {
 public:
  explicit RecordScanner(const DataFile* file);  // borrowed

  // The next record: its fields, or for JSON lines one field, the line. False at the end; empty lines there are
  // passed over. InvalidArgument with the line for a quote that is not closed or stands where none may.
  absl::StatusOr<bool> Next(std::vector<std::string>* fields);

  DataFormat format() const { return format_; }
  uint64_t line() const { return record_line_; }  // where the record begins, from 1

 private:
  absl::Status NextCommas(std::vector<std::string>* fields);
  absl::Status QuotedField(std::string* field);
  absl::string_view NextLine();

  const DataFile* const file_;
  const DataFormat format_;
  absl::string_view rest_;
  uint64_t next_line_ = 1, record_line_ = 0;
};

}  // namespace octet::cli

#endif  // OCTET_SERVER_CLI_EVALUATE_RECORD_SCANNER_H_
