// A report as one JSON object, for other programs. docs/evaluate.schema.json describes it; what it describes does not
// change its meaning, new keys may come, and a change that breaks readers makes another schema name.
#ifndef OCTET_SERVER_CLI_EVALUATE_REPORT_JSON_H_
#define OCTET_SERVER_CLI_EVALUATE_REPORT_JSON_H_

#include <string>

#include "server/cli/evaluate/report.h"

namespace octet::cli {

inline constexpr char kReportSchema[] = "octet.evaluate/1";

// Indented, with a line end at the end. Bytes of names that are not UTF-8 are replaced.
std::string JsonReport(const Report& report);

}  // namespace octet::cli

#endif  // OCTET_SERVER_CLI_EVALUATE_REPORT_JSON_H_
