// Exports spans to a collector over OTLP/gRPC.
#ifndef OCTET_SERVER_TRACING_OTLP_EXPORTER_H_
#define OCTET_SERVER_TRACING_OTLP_EXPORTER_H_

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "server/tracing/otlp_encoding.h"
#include "server/tracing/span.h"

namespace octet::tracing {

struct OtlpOptions {
  std::string target;  // HOST:PORT
  bool use_tls = false;
  std::string ca_certificates;                                    // PEM, of TLS; "": those of the system
  std::vector<std::pair<std::string, std::string>> headers = {};  // sent along, names in lower case
  ResourceAttributes resource = {};
  std::string version;  // octet's
};

// Connects when there is something to export, and again after a failure.
std::unique_ptr<SpanExporter> MakeOtlpExporter(OtlpOptions options);

}  // namespace octet::tracing

#endif  // OCTET_SERVER_TRACING_OTLP_EXPORTER_H_
