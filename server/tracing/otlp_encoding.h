// Spans as the message that OTLP/gRPC sends (proto/opentelemetry). Thread-safe functions.
#ifndef OCTET_SERVER_TRACING_OTLP_ENCODING_H_
#define OCTET_SERVER_TRACING_OTLP_ENCODING_H_

#include <span>
#include <string>
#include <utility>
#include <vector>

#include "opentelemetry/proto/collector/trace/v1/trace_service.pb.h"
#include "server/tracing/span.h"

namespace octet::tracing {

// Who says it: "service.name", ... Valid UTF-8.
using ResourceAttributes = std::vector<std::pair<std::string, std::string>>;

// Appends to `request`, which is empty. `version`: octet's, for the scope.
void EncodeSpans(const ResourceAttributes& resource, const std::string& version, std::span<const Span> spans,
                 opentelemetry::proto::collector::trace::v1::ExportTraceServiceRequest* request);

}  // namespace octet::tracing

#endif  // OCTET_SERVER_TRACING_OTLP_ENCODING_H_
