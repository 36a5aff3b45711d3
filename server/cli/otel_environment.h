// OpenTelemetry's standard environment variables, as far as octet heeds them (specification, "Environment Variable
// Specification" and "OTLP Exporter Configuration"). What cannot be used is left out with a warning, as the
// specification asks: the variables are often set for a whole machine, and must not keep a server from starting.
#ifndef OCTET_SERVER_CLI_OTEL_ENVIRONMENT_H_
#define OCTET_SERVER_CLI_OTEL_ENVIRONMENT_H_

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"

namespace octet::cli {

// The variables for traces alone (OTEL_EXPORTER_OTLP_TRACES_...) go before those for all signals. "" or absent: not set.
struct OtelEnvironment {
  bool is_disabled = false;  // OTEL_SDK_DISABLED=true, or OTEL_TRACES_EXPORTER=none
  std::string endpoint;
  std::string sampler;          // one of the standard names
  std::optional<double> ratio;  // 0 to 1
  std::optional<uint64_t> timeout_ms;
  bool is_insecure = false;
  std::string ca_file;
  std::vector<std::pair<std::string, std::string>> headers;   // names in lower case
  std::vector<std::pair<std::string, std::string>> resource;  // OTEL_RESOURCE_ATTRIBUTES, OTEL_SERVICE_NAME
  std::vector<std::string> warnings;
};

// `environment`: "NAME=VALUE" entries.
OtelEnvironment ReadOtelEnvironment(const std::vector<std::string>& environment);

// "key=value,key=value" with percent-encoded values; nothing when any part is not of that form.
std::optional<std::vector<std::pair<std::string, std::string>>> ParseOtelPairs(absl::string_view list);

}  // namespace octet::cli

#endif  // OCTET_SERVER_CLI_OTEL_ENVIRONMENT_H_
