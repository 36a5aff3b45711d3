// Where a listener listens: HOST:PORT or unix:/PATH, as the configuration and the command line spell it. Pure
// functions; nothing is resolved or opened.
#ifndef OCTET_SERVER_SECURITY_LISTEN_ADDRESS_H_
#define OCTET_SERVER_SECURITY_LISTEN_ADDRESS_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace octet::security {

struct ListenAddress {
  std::string text;         // what gRPC takes, in the form that was given
  std::string host;         // of HOST:PORT; "0.0.0.0" when it was left out; an IPv6 address with its brackets
  int port = 0;             // likewise; 0 takes a free one
  std::string socket_path;  // of unix:/PATH, else ""

  bool is_unix() const { return !socket_path.empty(); }
  // Reachable from this machine only: a UNIX socket, 127.0.0.0/8, [::1] or localhost.
  bool is_local() const;
  // An IPv4 or IPv6 address rather than a name to look up.
  bool is_numeric() const;
};

// "127.0.0.1:50051", "localhost:0", "[::1]:50051", ":50051" (all interfaces). InvalidArgument otherwise.
absl::StatusOr<ListenAddress> ParseHostPort(absl::string_view text);

// One or more of HOST:PORT and unix:/PATH, separated by commas. A PATH is absolute and fits a socket's name (107
// bytes). InvalidArgument otherwise, and for an address given twice.
absl::StatusOr<std::vector<ListenAddress>> ParseListenAddresses(absl::string_view text);

}  // namespace octet::security

#endif  // OCTET_SERVER_SECURITY_LISTEN_ADDRESS_H_
