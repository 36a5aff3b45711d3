// An inspection as one JSON object, for other programs. docs/inspect.schema.json describes it; what it describes does
// not change its meaning, new keys may come, and a change that breaks readers makes another schema name.
#ifndef OCTET_SERVER_CLI_INSPECT_INSPECT_JSON_H_
#define OCTET_SERVER_CLI_INSPECT_INSPECT_JSON_H_

#include <string>

#include "server/cli/inspect/inspection.h"

namespace octet::cli {

inline constexpr char kInspectionSchema[] = "octet.inspect/1";

// Indented, with a line end at the end. Bytes of names that are not UTF-8 are replaced.
std::string JsonInspection(const Inspection& inspection);

}  // namespace octet::cli

#endif  // OCTET_SERVER_CLI_INSPECT_INSPECT_JSON_H_
