// Which traces are recorded: OpenTelemetry's samplers by their standard names (specification, Trace SDK, "Sampling").
// Immutable, thread-safe.
#ifndef OCTET_SERVER_TRACING_SAMPLER_H_
#define OCTET_SERVER_TRACING_SAMPLER_H_

#include <cstdint>
#include <optional>

#include "absl/strings/string_view.h"
#include "base/trace_context.h"

namespace octet::tracing {

enum class RootSampler { kAlwaysOn, kAlwaysOff, kTraceIdRatio };

class Sampler {
 public:
  // `is_parent_based`: a caller's decision holds, and `root` decides only where a trace begins. `ratio`: 0 to 1.
  Sampler(RootSampler root, double ratio, bool is_parent_based);

  // "always_on", "traceidratio", "parentbased_always_off", ...; nothing for other names.
  static std::optional<Sampler> FromName(absl::string_view name, double ratio);

  bool ShouldSample(const TraceId& trace_id, const std::optional<TraceContext>& parent) const;

 private:
  bool SampleRoot(const TraceId& trace_id) const;

  RootSampler root_;
  bool is_parent_based_;
  // A trace is in when the number that its id gives is at least this. So whoever samples more of the traces has all
  // of those that others sample by the same rule.
  uint64_t threshold_;
};

}  // namespace octet::tracing

#endif  // OCTET_SERVER_TRACING_SAMPLER_H_
