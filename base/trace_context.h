// The identity of a call across services, as W3C Trace Context (https://www.w3.org/TR/trace-context/) puts it into the
// headers `traceparent` and `tracestate`, and identifiers for traces and spans that begin here. Callers' headers are
// read strictly: one that breaks the rules is as good as none. Values and thread-safe functions.
#ifndef OCTET_BASE_TRACE_CONTEXT_H_
#define OCTET_BASE_TRACE_CONTEXT_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"

namespace octet {

// 16 bytes, the first of them highest. All zero is no identifier.
struct TraceId {
  uint64_t high = 0, low = 0;

  bool valid() const { return high != 0 || low != 0; }
  friend bool operator==(const TraceId&, const TraceId&) = default;
};

struct TraceContext {
  TraceId trace_id;
  uint64_t span_id = 0;  // 0 is no identifier
  bool sampled = false;

  friend bool operator==(const TraceContext&, const TraceContext&) = default;
};

// "00-<32 hex digits>-<16 hex digits>-<2 hex digits>", digits in lower case; a version after 00 may have more behind
// another "-". Nothing for anything else, identifiers of zero included.
std::optional<TraceContext> ParseTraceparent(absl::string_view text);

// Whether `text` is a tracestate: at most 32 members `key=value` between commas, no key twice, at most 512 bytes (what
// the standard asks to be passed on; longer ones are dropped whole, as it allows).
bool IsTracestate(absl::string_view text);

// Random, never zero. Not for secrets.
TraceId NewTraceId();
uint64_t NewSpanId();

std::string TraceIdHex(const TraceId& id);  // 32 digits
std::string SpanIdHex(uint64_t id);         // 16 digits

}  // namespace octet

#endif  // OCTET_BASE_TRACE_CONTEXT_H_
