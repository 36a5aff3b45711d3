// Report files that are whole or not there: written under another name beside the file, then renamed.
#ifndef OCTET_SERVER_CLI_REPORT_REPORT_FILE_H_
#define OCTET_SERVER_CLI_REPORT_REPORT_FILE_H_

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace octet::cli {

// Asked before minutes of work: FailedPrecondition when the file exists and `overwrite` is not set, or is no regular
// file; Unavailable when its folder cannot be written to. Writes nothing.
absl::Status CheckReportFile(const std::string& path, bool overwrite);

// Unavailable when it cannot be written; then nothing is left behind.
absl::Status WriteReportFile(const std::string& path, absl::string_view content);

}  // namespace octet::cli

#endif  // OCTET_SERVER_CLI_REPORT_REPORT_FILE_H_
