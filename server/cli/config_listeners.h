// The configuration of what octet listens on: which addresses may stand beside each other, what TLS, tokens and
// management need of them, and what a start warns of. Pure functions.
#ifndef OCTET_SERVER_CLI_CONFIG_LISTENERS_H_
#define OCTET_SERVER_CLI_CONFIG_LISTENERS_H_

#include <string>
#include <vector>

#include "server/cli/config_schema.h"

namespace octet::cli {

// Appends a line for each problem: an address that does not parse, a port or socket of two sections (C6), half a TLS
// pair, a host name with TLS, a management address that other machines reach and that is not allowed to or lets in
// everybody.
void CheckListeners(const Config& config, std::vector<std::string>* problems);

// One line when anything but loopback and UNIX sockets is served without TLS, saying what that exposes; "" otherwise.
// `config` has passed CheckListeners.
std::string PlainTextWarning(const Config& config);

}  // namespace octet::cli

#endif  // OCTET_SERVER_CLI_CONFIG_LISTENERS_H_
