// What shadows count, per model: a part of Metrics (metrics.h), whose rules hold here too. A model without a shadow has
// no series. Thread-safe.
#ifndef OCTET_SERVING_SHADOW_METRICS_H_
#define OCTET_SERVING_SHADOW_METRICS_H_

#include <array>
#include <cstddef>
#include <string>

#include "absl/strings/string_view.h"
#include "prometheus/counter.h"
#include "prometheus/family.h"
#include "prometheus/histogram.h"
#include "serving/metric_registry.h"

namespace octet::serving {

// Why a text that was to be compared was not; the label `reason` of octet_shadow_dropped_total.
enum class ShadowDrop {
  kQueueFull,
  kTooLong,   // more tokens than the shadow takes
  kDraining,  // the server was told to stop
  kFault,     // an error, or an output of the reference that is not finite
};
inline constexpr size_t kNumShadowDrops = 4;
absl::string_view ShadowDropName(ShadowDrop reason);  // "queue_full", ...

// The children of one model.
struct ShadowMetrics {
  prometheus::Counter* texts = nullptr;              // compared
  prometheus::Counter* label_flips = nullptr;        // texts
  prometheus::Counter* activations = nullptr;        // that met a fixed range
  prometheus::Counter* clipped = nullptr;            // activations
  prometheus::Histogram* cosine_distance = nullptr;  // of each text compared
  std::array<prometheus::Counter*, kNumShadowDrops> dropped = {};

  void Drop(ShadowDrop reason) const { dropped[static_cast<size_t>(reason)]->Increment(); }
};

class ShadowFamilies {
 public:
  // `registry` must outlive it.
  explicit ShadowFamilies(MetricRegistry* registry);

  // The same children for the same name; valid as long as the registry.
  ShadowMetrics ForModel(const std::string& label);

 private:
  prometheus::Family<prometheus::Counter>* const texts_;
  prometheus::Family<prometheus::Counter>* const dropped_;  // model, reason
  prometheus::Family<prometheus::Counter>* const label_flips_;
  prometheus::Family<prometheus::Counter>* const activations_;
  prometheus::Family<prometheus::Counter>* const clipped_;
  const HistogramFamily cosine_distance_;
};

}  // namespace octet::serving

#endif  // OCTET_SERVING_SHADOW_METRICS_H_
