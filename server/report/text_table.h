// A table of text, as terminals show it and pages lay it out. Pure functions.
#ifndef OCTET_SERVER_REPORT_TEXT_TABLE_H_
#define OCTET_SERVER_REPORT_TEXT_TABLE_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"

namespace octet::report {

// Cells are not escaped.
struct TextTable {
  std::vector<std::string> header;
  std::vector<std::vector<std::string>> rows;  // each as long as the header
  std::vector<std::string> notes;              // sentences: what is missing, what the columns mean
};

// `text` with line ends, terminal codes and other control characters spelled out (names of files may hold any).
std::string Printable(absl::string_view text);

// The facts, a line each; the table with its first column to the left and the others to the right; the notes.
std::string TerminalText(const std::vector<std::pair<std::string, std::string>>& facts, const TextTable& table);

}  // namespace octet::report

#endif  // OCTET_SERVER_REPORT_TEXT_TABLE_H_
