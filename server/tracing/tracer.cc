#include "server/tracing/tracer.h"

#include "absl/time/clock.h"

namespace octet::tracing {

OpenSpan Tracer::Begin(const std::optional<TraceContext>& parent, std::string trace_state, MonotonicTime begin) const {
  OpenSpan span;
  span.context.trace_id = parent ? parent->trace_id : NewTraceId();
  span.context.span_id = NewSpanId();
  span.context.sampled = sampler_.ShouldSample(span.context.trace_id, parent);
  span.begin = begin;
  if (parent) {
    span.parent_span_id = parent->span_id;
    span.is_parent_remote = true;
    span.trace_state = std::move(trace_state);
  }
  if (span.context.sampled) span.start = absl::Now();
  return span;
}

OpenSpan Tracer::BeginChild(const OpenSpan& parent, MonotonicTime begin) {
  OpenSpan span;
  span.context = {parent.context.trace_id, NewSpanId(), parent.context.sampled};
  span.parent_span_id = parent.context.span_id;
  span.trace_state = parent.trace_state;
  span.start = parent.start + (begin - parent.begin);
  span.begin = begin;
  return span;
}

}  // namespace octet::tracing
