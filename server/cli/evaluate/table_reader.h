// The wanted columns of a data file, whatever its format, by name or by position. Pure functions.
#ifndef OCTET_SERVER_CLI_EVALUATE_TABLE_READER_H_
#define OCTET_SERVER_CLI_EVALUATE_TABLE_READER_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/cli/evaluate/data_file.h"

namespace octet::cli {

// A column that a task reads. `names` are what headers and JSON keys usually call it, the preferred one first.
struct WantedColumn {
  std::vector<std::string> names;
  bool optional = false;  // absent: ""
};

// Columns are found by `columns`, names or positions from 1, one for each wanted column; names mean that the file has a
// header line (or are JSON keys), positions alone that it has none. Without `columns`: by the usual names, if the first
// line has them all; else the wanted columns are the file's first ones, if `headless_fields` allows.
struct TableOptions {
  std::vector<WantedColumn> wanted;
  std::vector<std::string> columns;
  // The number of fields that a file without a header must have: 0 any (at least the wanted ones).
  size_t headless_fields = 0;
  std::string where;   // "COLUMN=VALUE": only such records; "" all
  uint64_t limit = 0;  // the first so many; 0 all
};

struct Record {
  uint64_t line = 0;
  std::vector<std::string> fields;  // in the order of the wanted columns
};

// At least one record. A JSON value may be a string, a number, or an array of those, which becomes one field joined by
// commas. InvalidArgument with file and line for a missing column, another number of fields than the first line has, no
// JSON object, a JSON value of another kind; with the file for no record at all.
absl::StatusOr<std::vector<Record>> ReadTable(const DataFile& file, const TableOptions& options);

}  // namespace octet::cli

#endif  // OCTET_SERVER_CLI_EVALUATE_TABLE_READER_H_
