// A report as one HTML page that needs nothing else: no script, no fonts, no images; it can be mailed or archived.
#ifndef OCTET_SERVER_CLI_EVALUATE_REPORT_HTML_H_
#define OCTET_SERVER_CLI_EVALUATE_REPORT_HTML_H_

#include <string>

#include "server/cli/evaluate/report.h"

namespace octet::cli {

// A figure: the main metric against texts/s with resident bytes as area. A line through a variant's circle is f32's
// value plus the interval of the paired difference: where it crosses f32's height, the data do not tell the two apart.
// All text is escaped. "" when no variant was measured.
std::string ScatterFigure(const Report& report);

// Facts, the table, and the scatter. All text is escaped.
std::string HtmlReport(const Report& report);

}  // namespace octet::cli

#endif  // OCTET_SERVER_CLI_EVALUATE_REPORT_HTML_H_
