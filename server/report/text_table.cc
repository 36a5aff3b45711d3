#include "server/report/text_table.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace octet::report {
namespace {

// `width` counts bytes, which are columns for the ASCII that all cells but some directory names are.
std::string Padded(const std::string& cell, size_t width, bool left) {
  const std::string space(width > cell.size() ? width - cell.size() : 0, ' ');
  return left ? cell + space : space + cell;
}

}  // namespace

std::string Printable(absl::string_view text) {
  std::string printable;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7F) {
      absl::StrAppendFormat(&printable, "\\x%02x", byte);
    } else {
      printable.push_back(c);
    }
  }
  return printable;
}

std::string TerminalText(const std::vector<std::pair<std::string, std::string>>& facts, const TextTable& table) {
  std::vector<std::vector<std::string>> rows = table.rows;
  rows.insert(rows.begin(), table.header);
  std::vector<size_t> widths(table.header.size());
  for (std::vector<std::string>& row : rows) {
    for (size_t i = 0; i < row.size(); ++i) {
      row[i] = Printable(row[i]);
      widths[i] = std::max(widths[i], row[i].size());
    }
  }
  std::string out;
  for (const auto& [label, value] : facts) absl::StrAppend(&out, label, ": ", Printable(value), "\n");
  out += "\n";
  for (const std::vector<std::string>& row : rows) {
    for (size_t i = 0; i < row.size(); ++i) {
      absl::StrAppend(&out, i == 0 ? "" : "  ", Padded(row[i], widths[i], /*left=*/i == 0));
    }
    out += "\n";
  }
  out += "\n";
  for (const std::string& note : table.notes) absl::StrAppend(&out, Printable(note), "\n");
  return out;
}

}  // namespace octet::report
