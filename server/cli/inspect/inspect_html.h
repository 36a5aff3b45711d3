// An inspection as one HTML page that needs nothing else (report/html_page.h).
#ifndef OCTET_SERVER_CLI_INSPECT_INSPECT_HTML_H_
#define OCTET_SERVER_CLI_INSPECT_INSPECT_HTML_H_

#include <string>

#include "server/cli/inspect/inspection.h"

namespace octet::cli {

// Facts; the sensitivity of every layer as bars; scatters of the reports; the curve of a mixed model; the table; and
// for every layer the histograms of its weights and inputs. All text is escaped.
std::string HtmlInspection(const Inspection& inspection);

}  // namespace octet::cli

#endif  // OCTET_SERVER_CLI_INSPECT_INSPECT_HTML_H_
