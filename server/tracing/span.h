// A finished span, and what takes spans away: the border behind which another exporter, such as one of a packaged
// OpenTelemetry SDK, can stand. Plain values; the views in a Span are valid while it is being exported.
#ifndef OCTET_SERVER_TRACING_SPAN_H_
#define OCTET_SERVER_TRACING_SPAN_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <variant>

#include "absl/container/inlined_vector.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/trace_context.h"

namespace octet::tracing {

enum class SpanKind { kInternal, kServer };

struct Attribute {
  absl::string_view key;
  std::variant<int64_t, absl::string_view> value;
};

struct Span {
  absl::string_view name;
  SpanKind kind = SpanKind::kInternal;
  TraceContext context;
  uint64_t parent_span_id = 0;  // 0: the first of its trace
  bool is_parent_remote = false;
  absl::string_view trace_state;
  absl::Time start, end;
  absl::InlinedVector<Attribute, 8> attributes;
  std::span<const TraceContext> links;
  size_t num_dropped_links = 0;
  bool is_error = false;
};

struct ExportResult {
  absl::Status status = {};
  size_t num_rejected = 0;     // of the spans, when the status is OK
  bool may_try_again = false;  // the same spans may be taken later
};

class SpanExporter {
 public:
  virtual ~SpanExporter() = default;

  // Blocks for at most about `timeout`. One call at a time.
  virtual ExportResult Export(std::span<const Span> spans, absl::Duration timeout) = 0;

  // Ends an Export that is under way, and every later one at once. Any thread.
  virtual void Cancel() = 0;
};

}  // namespace octet::tracing

#endif  // OCTET_SERVER_TRACING_SPAN_H_
