#include "server/tracing/sampler.h"

#include <cmath>

#include "absl/strings/strip.h"

namespace octet::tracing {
namespace {

// The rightmost 7 bytes of a trace id, which are those that W3C Trace Context, level 2, says to be random.
constexpr int kRandomBits = 56;
constexpr uint64_t kRandomValues = uint64_t{1} << kRandomBits;

}  // namespace

Sampler::Sampler(RootSampler root, double ratio, bool is_parent_based)
    : root_(root),
      is_parent_based_(is_parent_based),
      threshold_(kRandomValues - static_cast<uint64_t>(std::llround(ratio * static_cast<double>(kRandomValues)))) {}

std::optional<Sampler> Sampler::FromName(absl::string_view name, double ratio) {
  const bool is_parent_based = absl::ConsumePrefix(&name, "parentbased_");
  if (name == "always_on") return Sampler(RootSampler::kAlwaysOn, ratio, is_parent_based);
  if (name == "always_off") return Sampler(RootSampler::kAlwaysOff, ratio, is_parent_based);
  if (name == "traceidratio") return Sampler(RootSampler::kTraceIdRatio, ratio, is_parent_based);
  return std::nullopt;
}

bool Sampler::ShouldSample(const TraceId& trace_id, const std::optional<TraceContext>& parent) const {
  return is_parent_based_ && parent ? parent->sampled : SampleRoot(trace_id);
}

bool Sampler::SampleRoot(const TraceId& trace_id) const {
  switch (root_) {
    case RootSampler::kAlwaysOn:
      return true;
    case RootSampler::kAlwaysOff:
      return false;
    case RootSampler::kTraceIdRatio:
      return (trace_id.low & (kRandomValues - 1)) >= threshold_;
  }
  return false;
}

}  // namespace octet::tracing
