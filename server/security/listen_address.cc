#include "server/security/listen_address.h"

#include <arpa/inet.h>
#include <sys/un.h>

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/status_macros.h"

namespace octet::security {
namespace {

constexpr absl::string_view kUnixScheme = "unix:";
constexpr size_t kMaxSocketPathBytes = sizeof(sockaddr_un::sun_path) - 1;

std::string Quoted(absl::string_view text) { return absl::StrCat("\"", absl::CHexEscape(text.substr(0, 120)), "\""); }

std::string WithoutBrackets(const std::string& host) {
  return absl::StartsWith(host, "[") ? host.substr(1, host.size() - 2) : host;
}

absl::StatusOr<ListenAddress> ParseUnix(absl::string_view text) {
  const absl::string_view path = text.substr(kUnixScheme.size());
  if (!absl::StartsWith(path, "/") || path.size() > kMaxSocketPathBytes) {
    return absl::InvalidArgumentError(absl::StrCat("want unix:/PATH with an absolute path of at most ",
                                                   kMaxSocketPathBytes, " bytes, got ", Quoted(text)));
  }
  ListenAddress address;
  address.text = std::string(text);
  address.socket_path = std::string(path);
  return address;
}

}  // namespace

bool ListenAddress::is_local() const {
  in_addr v4;
  if (is_unix() || absl::EqualsIgnoreCase(host, "localhost")) return true;
  if (inet_pton(AF_INET, host.c_str(), &v4) == 1) return (ntohl(v4.s_addr) >> 24) == 127;
  in6_addr v6;
  return inet_pton(AF_INET6, WithoutBrackets(host).c_str(), &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

bool ListenAddress::is_numeric() const {
  in6_addr parsed;
  return inet_pton(AF_INET, host.c_str(), &parsed) == 1 ||
         inet_pton(AF_INET6, WithoutBrackets(host).c_str(), &parsed) == 1;
}

absl::StatusOr<ListenAddress> ParseHostPort(absl::string_view text) {
  const size_t colon = text.rfind(':');
  ListenAddress result;
  const absl::string_view port = colon == text.npos ? "" : text.substr(colon + 1);
  const absl::string_view host = colon == text.npos ? "" : text.substr(0, colon);
  bool valid = !port.empty() && port.size() <= 5 && port.find_first_not_of("0123456789") == port.npos &&
               absl::SimpleAtoi(port, &result.port) && result.port <= 65535;
  // An IPv6 address needs its brackets, or the port could be a part of it.
  if (!host.empty() && host.front() == '[') {
    valid = valid && host.size() > 2 && host.back() == ']';
  } else {
    valid = valid && host.find_first_of(":[]/ ") == host.npos;
  }
  if (!valid) {
    return absl::InvalidArgumentError(
        absl::StrCat("want HOST:PORT such as 127.0.0.1:50051 or [::1]:50051, got ", Quoted(text)));
  }
  result.text = std::string(text);
  result.host = host.empty() ? "0.0.0.0" : std::string(host);
  return result;
}

absl::StatusOr<std::vector<ListenAddress>> ParseListenAddresses(absl::string_view text) {
  std::vector<ListenAddress> addresses;
  for (const absl::string_view part : absl::StrSplit(text, ',')) {
    const absl::string_view one = absl::StripAsciiWhitespace(part);
    auto parsed = absl::StartsWith(one, kUnixScheme) ? ParseUnix(one) : ParseHostPort(one);
    if (!parsed.ok()) return parsed.status();
    const bool is_free_port = !parsed->is_unix() && parsed->port == 0;
    if (!is_free_port && std::any_of(addresses.begin(), addresses.end(),
                                     [&](const ListenAddress& other) { return other.text == parsed->text; })) {
      return absl::InvalidArgumentError(absl::StrCat(Quoted(one), " is given twice; keep one"));
    }
    addresses.push_back(*std::move(parsed));
  }
  return addresses;
}

}  // namespace octet::security
