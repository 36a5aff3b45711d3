#include "serving/shadow_metrics.h"

#include <iterator>

namespace octet::serving {
namespace {

// 1-2-5 a decade. int8 with ranges per token row is about 1e-3 from f32, mixed precision a few 1e-4; two answers that
// have nothing in common are 1 apart.
const prometheus::Histogram::BucketBoundaries& DistanceBuckets() {
  static const prometheus::Histogram::BucketBoundaries buckets = {1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3,
                                                                  5e-3, 1e-2, 2e-2, 5e-2, 0.1,  0.2,  0.5,  1};
  return buckets;
}

}  // namespace

absl::string_view ShadowDropName(ShadowDrop reason) {
  static constexpr absl::string_view kNames[] = {"queue_full", "too_long", "draining", "fault"};
  static_assert(std::size(kNames) == kNumShadowDrops);
  return kNames[static_cast<size_t>(reason)];
}

ShadowFamilies::ShadowFamilies(MetricRegistry* registry)
    : texts_(registry->Counters(
          {"octet_shadow_texts_total", "texts", "Texts answered that were computed in f32 as well.", {"model"}})),
      dropped_(registry->Counters({"octet_shadow_dropped_total",
                                   "texts",
                                   "Texts chosen for comparison with f32 that were not compared, by reason.",
                                   {"model", "reason"}})),
      label_flips_(
          registry->Counters({"octet_shadow_label_flips_total",
                              "texts",
                              "Texts compared whose labels, as the model's settings give them, differ from f32's.",
                              {"model"}})),
      activations_(
          registry->Counters({"octet_shadow_activations_total",
                              "values",
                              "Inputs of linear layers that met a fixed range, in texts chosen for comparison.",
                              {"model"}})),
      clipped_(registry->Counters({"octet_shadow_clipped_activations_total",
                                   "values",
                                   "Inputs of linear layers outside their fixed range, in texts chosen for comparison.",
                                   {"model"}})),
      cosine_distance_(registry->Histograms({"octet_shadow_cosine_distance",
                                             "1 - cosine",
                                             "1 - cosine between the answer to a text and f32's.",
                                             {"model"}},
                                            DistanceBuckets())) {}

ShadowMetrics ShadowFamilies::ForModel(const std::string& label) {
  const prometheus::Labels labels = {{"model", label}};
  ShadowMetrics metrics;
  metrics.texts = &texts_->Add(labels);
  metrics.label_flips = &label_flips_->Add(labels);
  metrics.activations = &activations_->Add(labels);
  metrics.clipped = &clipped_->Add(labels);
  metrics.cosine_distance = cosine_distance_.Add(labels);
  for (size_t i = 0; i < kNumShadowDrops; ++i) {
    const absl::string_view reason = ShadowDropName(static_cast<ShadowDrop>(i));
    metrics.dropped[i] = &dropped_->Add({{"model", label}, {"reason", std::string(reason)}});
  }
  return metrics;
}

}  // namespace octet::serving
