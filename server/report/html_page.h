// A report as one HTML page that needs nothing else: no script, no fonts, no images; it can be mailed or archived, and
// read in light, in dark and on a phone. Pure functions.
#ifndef OCTET_SERVER_REPORT_HTML_PAGE_H_
#define OCTET_SERVER_REPORT_HTML_PAGE_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "server/report/text_table.h"

namespace octet::report {

// "&", "<", ">", quotes: so that `text` is text in an element or an attribute. Control characters, which HTML and XML
// forbid, become U+FFFD.
std::string EscapeHtml(absl::string_view text);

// The page: `title` (not escaped) as title and heading, `body` as it is. `more_style` follows the common style sheet.
std::string HtmlPage(absl::string_view title, absl::string_view body, absl::string_view more_style = "");

// The table, which scrolls sideways on narrow screens, and its notes as paragraphs. Cells and notes are escaped.
std::string HtmlTable(const TextTable& table);
// Label and value, escaped.
std::string HtmlFacts(const std::vector<std::pair<std::string, std::string>>& facts);
// `drawing` as it is above `caption`, which is escaped.
std::string HtmlFigure(absl::string_view drawing, absl::string_view caption);

}  // namespace octet::report

#endif  // OCTET_SERVER_REPORT_HTML_PAGE_H_
