// Begins and ends the spans of calls: takes over the caller's trace or begins one, asks the sampler, and hands finished
// calls that are sampled to the processor. Thread-safe.
#ifndef OCTET_SERVER_TRACING_TRACER_H_
#define OCTET_SERVER_TRACING_TRACER_H_

#include <optional>
#include <string>
#include <utility>

#include "base/clock.h"
#include "server/tracing/call_record.h"
#include "server/tracing/sampler.h"
#include "server/tracing/span_processor.h"

namespace octet::tracing {

class Tracer {
 public:
  // `processor` must outlive it.
  Tracer(const Sampler& sampler, SpanProcessor* processor) : sampler_(sampler), processor_(processor) {}

  // The span of a call that came at `begin` (on the pipeline's clock) with this context and tracestate.
  OpenSpan Begin(const std::optional<TraceContext>& parent, std::string trace_state, MonotonicTime begin) const;

  // The span of a stream's message.
  static OpenSpan BeginChild(const OpenSpan& parent, MonotonicTime begin);

  // Of a sampled call only.
  void End(CallRecord record) const { processor_->Push(std::move(record)); }

  void SetServerAddress(ServerAddress address) const { processor_->SetServerAddress(std::move(address)); }

 private:
  const Sampler sampler_;
  SpanProcessor* const processor_;
};

}  // namespace octet::tracing

#endif  // OCTET_SERVER_TRACING_TRACER_H_
