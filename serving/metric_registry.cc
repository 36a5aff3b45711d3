#include "serving/metric_registry.h"

#include <utility>

namespace octet::serving {

using prometheus::MetricType;

HistogramFamily::HistogramFamily(prometheus::Family<prometheus::Histogram>* family,
                                 prometheus::Histogram::BucketBoundaries buckets)
    : family_(family), buckets_(std::move(buckets)) {}

prometheus::Family<prometheus::Counter>* MetricRegistry::Counters(const MetricSpec& spec) {
  descriptions_.push_back({.spec = spec, .type = MetricType::Counter});
  return &prometheus::BuildCounter().Name(spec.name).Help(spec.help).Register(registry_);
}

prometheus::Family<prometheus::Gauge>* MetricRegistry::Gauges(const MetricSpec& spec) {
  descriptions_.push_back({.spec = spec, .type = MetricType::Gauge});
  return &prometheus::BuildGauge().Name(spec.name).Help(spec.help).Register(registry_);
}

HistogramFamily MetricRegistry::Histograms(const MetricSpec& spec,
                                           const prometheus::Histogram::BucketBoundaries& buckets) {
  descriptions_.push_back({.spec = spec, .type = MetricType::Histogram, .buckets = buckets});
  return {&prometheus::BuildHistogram().Name(spec.name).Help(spec.help).Register(registry_), buckets};
}

}  // namespace octet::serving
