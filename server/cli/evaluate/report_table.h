// A report as rows of text: what the terminal, Markdown and HTML have in common, and the first two of them.
#ifndef OCTET_SERVER_CLI_EVALUATE_REPORT_TABLE_H_
#define OCTET_SERVER_CLI_EVALUATE_REPORT_TABLE_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "server/cli/evaluate/report.h"
#include "server/report/text_table.h"

namespace octet::cli {

// A row for each variant. Metrics times 100 with two decimals; "-" where there is nothing to say.
report::TextTable TableOf(const Report& report);

// What was measured, on what and with what: label and value, not escaped.
std::vector<std::pair<std::string, std::string>> FactsOf(const Report& report);

// "nDCG@10" of "ndcg_at_10"; the name itself when it has no other.
std::string MetricTitle(absl::string_view name);

std::string TerminalReport(const Report& report);
// A heading, the facts as a list and the table; text is escaped so that it appears as it is.
std::string MarkdownReport(const Report& report);

}  // namespace octet::cli

#endif  // OCTET_SERVER_CLI_EVALUATE_REPORT_TABLE_H_
