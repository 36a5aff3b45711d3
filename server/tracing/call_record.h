// What is kept of a sampled call, or of one message of a stream, until it is exported: enough to make its spans of. It
// is small and cheap to make; the spans are made on the exporter's thread. Plain values.
#ifndef OCTET_SERVER_TRACING_CALL_RECORD_H_
#define OCTET_SERVER_TRACING_CALL_RECORD_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/trace_context.h"
#include "server/tracing/span.h"
#include "serving/call_trace.h"

namespace octet::tracing {

// A span that has begun.
struct OpenSpan {
  TraceContext context;
  uint64_t parent_span_id = 0;
  bool is_parent_remote = false;
  std::string trace_state = {};
  absl::Time start;          // by the wall clock, at `begin`
  MonotonicTime begin = {};  // phases are on this clock
};

struct CallRecord {
  OpenSpan span;
  absl::string_view method;  // "octet.v1.TextEncoder/Embed"; lives as long as the server
  std::string model;         // the label that the metrics count it under, "" without one
  absl::string_view code;    // "OK", ...; "" for a message that was answered
  std::string reason = {};   // "QUEUE_FULL", ...
  uint64_t message = 0;      // number of a stream's message, from 1; 0: the call itself
  MonotonicTime end;
  serving::CallPhases phases;
};

// Where clients reach the server.
struct ServerAddress {
  std::string host;  // "" when it is every interface
  int port = 0;
};

// Spans that AppendSpans makes of the record.
size_t NumSpans(const CallRecord& record);

// The span of the call (kind server) or message, and of its phases, its children: `tokenize`, `queue`, and for each
// forward pass `batch`, with links to the sampled calls that shared it, this one included, and `compute`. What the
// spans view is in `record` and `address`.
void AppendSpans(const CallRecord& record, const ServerAddress& address, std::vector<Span>* spans);

}  // namespace octet::tracing

#endif  // OCTET_SERVER_TRACING_CALL_RECORD_H_
