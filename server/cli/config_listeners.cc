#include "server/cli/config_listeners.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/security/listen_address.h"

namespace octet::cli {
namespace {

using security::ListenAddress;

struct Listener {
  const char* setting;
  ListenAddress address;
};

void Append(const char* setting, absl::StatusOr<std::vector<ListenAddress>> addresses, std::vector<Listener>* listeners,
            std::vector<std::string>* problems) {
  if (!addresses.ok()) {
    problems->push_back(absl::StrCat(setting, ": ", addresses.status().message()));
    return;
  }
  for (ListenAddress& address : *addresses) listeners->push_back({setting, std::move(address)});
}

// All of the three sections, in their order.
std::vector<Listener> ListenersOf(const Config& config, std::vector<std::string>* problems) {
  std::vector<Listener> listeners;
  Append("grpc.address", security::ParseListenAddresses(config.grpc().address()), &listeners, problems);
  if (!config.metrics().address().empty()) {
    auto address = security::ParseHostPort(config.metrics().address());
    Append(
        "metrics.address",
        address.ok() ? absl::StatusOr<std::vector<ListenAddress>>(std::vector{*std::move(address)}) : address.status(),
        &listeners, problems);
  }
  if (!config.management().address().empty()) {
    Append("management.address", security::ParseListenAddresses(config.management().address()), &listeners, problems);
  }
  return listeners;
}

bool IsMetrics(const Listener& listener) { return listener.setting == absl::string_view("metrics.address"); }
bool IsManagement(const Listener& listener) { return listener.setting == absl::string_view("management.address"); }

bool HasTls(const Config& config) { return !config.tls().certificate_file().empty(); }

// A port is one section's, whatever the hosts: two of them would be too easily taken for each other.
void CheckClashes(const std::vector<Listener>& listeners, std::vector<std::string>* problems) {
  for (size_t i = 0; i < listeners.size(); ++i) {
    const auto& [setting, address] = listeners[i];
    for (size_t k = 0; k < i; ++k) {
      const auto& [other_setting, other] = listeners[k];
      if (setting == other_setting || address.is_unix() != other.is_unix()) continue;
      if (address.is_unix() && address.socket_path == other.socket_path) {
        problems->push_back(absl::StrCat(setting, ": ", address.text, " is that of ", other_setting, "; take another"));
      } else if (!address.is_unix() && address.port != 0 && address.port == other.port) {
        problems->push_back(
            absl::StrCat(setting, ": port ", address.port, " is that of ", other_setting, "; take another"));
      }
    }
  }
}

void CheckTls(const Config& config, const std::vector<Listener>& listeners, std::vector<std::string>* problems) {
  const auto& tls = config.tls();
  if (tls.certificate_file().empty() != tls.key_file().empty()) {
    problems->push_back(tls.key_file().empty() ? "tls.key_file: empty, but tls.certificate_file is given; name its key"
                                               : "tls.certificate_file: empty, but tls.key_file is given; name both");
  }
  if (!HasTls(config)) {
    if (!tls.client_ca_file().empty()) {
      problems->push_back("tls.client_ca_file: given, but tls.certificate_file is empty; name both, or neither");
    }
    return;
  }
  for (const auto& listener : listeners) {
    const ListenAddress& address = listener.address;
    if (IsMetrics(listener) || address.is_unix() || address.is_numeric()) continue;
    // gRPC 1.51 changes certificates safely where one socket takes connections, and a name may stand for several.
    problems->push_back(absl::StrCat(listener.setting, ": ", Quoted(address.host),
                                     " is a host name; with tls.certificate_file want an IP address"));
  }
}

void CheckManagement(const Config& config, const std::vector<Listener>& listeners, std::vector<std::string>* problems) {
  const auto& management = config.management();
  if (management.address().empty() && !management.token_file().empty()) {
    problems->push_back("management.token_file: given, but management.address is empty; name both, or neither");
  }
  const auto remote = std::find_if(listeners.begin(), listeners.end(),
                                   [](const Listener& l) { return IsManagement(l) && !l.address.is_local(); });
  if (remote == listeners.end()) return;
  if (!management.allow_remote()) {
    problems->push_back(absl::StrCat("management.address: ", remote->address.text,
                                     " is reached by other machines; take a loopback address or unix:/PATH, or set "
                                     "management.allow_remote"));
  } else if (management.token_file().empty() && config.tls().client_ca_file().empty()) {
    problems->push_back(absl::StrCat("management.allow_remote: ", remote->address.text,
                                     " would let anybody in; set management.token_file or tls.client_ca_file"));
  }
}

// What whoever sees the network learns.
absl::string_view Exposed(const Config& config, const Listener& listener) {
  if (IsMetrics(listener)) return "metrics, always plain HTTP";
  const std::string& token_file =
      IsManagement(listener) ? config.management().token_file() : config.auth().token_file();
  if (IsManagement(listener)) return token_file.empty() ? "management" : "management and its tokens";
  return token_file.empty() ? "texts and answers" : "texts, answers and tokens";
}

}  // namespace

void CheckListeners(const Config& config, std::vector<std::string>* problems) {
  const std::vector<Listener> listeners = ListenersOf(config, problems);
  CheckClashes(listeners, problems);
  CheckTls(config, listeners, problems);
  CheckManagement(config, listeners, problems);
}

std::string PlainTextWarning(const Config& config) {
  std::vector<std::string> problems, exposed;
  for (const Listener& listener : ListenersOf(config, &problems)) {
    if (listener.address.is_local() || (HasTls(config) && !IsMetrics(listener))) continue;
    exposed.push_back(absl::StrCat(listener.setting, " ", listener.address.text, " (", Exposed(config, listener), ")"));
  }
  if (exposed.empty()) return "";
  return absl::StrCat("no TLS, so whoever sees the network can read it: ", absl::StrJoin(exposed, ", "),
                      HasTls(config) ? "; keep it to a trusted network"
                                     : "; keep it to a trusted network, or set tls.certificate_file and tls.key_file");
}

}  // namespace octet::cli
