// An inspection as rows of text: what the terminal and the page have in common. Pure functions.
#ifndef OCTET_SERVER_CLI_INSPECT_INSPECT_TABLE_H_
#define OCTET_SERVER_CLI_INSPECT_INSPECT_TABLE_H_

#include <string>
#include <utility>
#include <vector>

#include "server/cli/inspect/inspection.h"
#include "server/report/text_table.h"

namespace octet::cli {

// "int8", "bf16", "f32".
std::string KindName(kernels::LinearKind kind);
// How inputs are quantized: "token_asymmetric", "token_symmetric", "fixed"; "none" of a layer in floats.
std::string SchemeName(const LinearInspection& linear);

// A row for each linear layer; "-" where there is nothing to say.
report::TextTable TableOf(const Inspection& inspection);
// What was looked at, and with what: label and value.
std::vector<std::pair<std::string, std::string>> FactsOf(const Inspection& inspection);

std::string TerminalInspection(const Inspection& inspection);

}  // namespace octet::cli

#endif  // OCTET_SERVER_CLI_INSPECT_INSPECT_TABLE_H_
