// Reads the JSON reports of `octet evaluate` back, as far as their scatter needs (report_html.h, ScatterFigure).
#ifndef OCTET_SERVER_CLI_EVALUATE_REPORT_READER_H_
#define OCTET_SERVER_CLI_EVALUATE_REPORT_READER_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/cli/evaluate/report.h"

namespace octet::cli {

// `text`: of a file of schema octet.evaluate/1. Of every variant that was measured its name, main metric, comparison
// with f32 (of the main metric), speed and size; of the rest of the report what was measured, on what and with what.
// InvalidArgument "<what>: <key>: ..." for anything else.
absl::StatusOr<Report> ParseReport(absl::string_view text, absl::string_view what);

// ParseReport of the file. NotFound or InvalidArgument when it cannot be read.
absl::StatusOr<Report> ReadReport(const std::string& path);

// Reports of the same task and data, with the same instruction set and threads, as one; in the order of the first of
// each. A variant whose name is taken already is called "<name> (2)", "<name> (3)", ...
std::vector<Report> MergeReports(const std::vector<Report>& reports);

}  // namespace octet::cli

#endif  // OCTET_SERVER_CLI_EVALUATE_REPORT_READER_H_
