// Metric families together with what a registry of prometheus-cpp does not keep: unit, label names, buckets and the
// version that brought them. docs/metrics.md is printed from here, so that a family is on it before it has a series.
// Families are declared on one thread before anyone collects; after that thread-safe.
#ifndef OCTET_SERVING_METRIC_REGISTRY_H_
#define OCTET_SERVING_METRIC_REGISTRY_H_

#include <string>
#include <vector>

#include "prometheus/counter.h"
#include "prometheus/family.h"
#include "prometheus/gauge.h"
#include "prometheus/histogram.h"
#include "prometheus/labels.h"
#include "prometheus/metric_family.h"
#include "prometheus/metric_type.h"
#include "prometheus/registry.h"

namespace octet::serving {

struct MetricSpec {
  std::string name;
  std::string
      unit;  // of a value, or of what a histogram observes: "seconds", "texts", ...; "" of a mark that is 0 or 1
  std::string help;                      // one sentence
  std::vector<std::string> labels = {};  // that every series has
  std::string since = "0.1.0";           // octet's version
};

struct MetricDescription {
  MetricSpec spec;
  prometheus::MetricType type = prometheus::MetricType::Untyped;
  prometheus::Histogram::BucketBoundaries buckets = {};  // upper edges, without +Inf; of histograms
};

// A family whose children all have the edges that it was declared with.
class HistogramFamily {
 public:
  HistogramFamily(prometheus::Family<prometheus::Histogram>* family, prometheus::Histogram::BucketBoundaries buckets);

  // The same child for the same labels; valid as long as the registry.
  prometheus::Histogram* Add(const prometheus::Labels& labels) const { return &family_->Add(labels, buckets_); }
  std::vector<prometheus::MetricFamily> Collect() const { return family_->Collect(); }

 private:
  prometheus::Family<prometheus::Histogram>* const family_;
  const prometheus::Histogram::BucketBoundaries buckets_;
};

class MetricRegistry {
 public:
  // Declare a family. A name may be declared once.
  prometheus::Family<prometheus::Counter>* Counters(const MetricSpec& spec);
  prometheus::Family<prometheus::Gauge>* Gauges(const MetricSpec& spec);
  HistogramFamily Histograms(const MetricSpec& spec, const prometheus::Histogram::BucketBoundaries& buckets);
  // A family without labels: its only child.
  prometheus::Counter* Counter(const MetricSpec& spec) { return &Counters(spec)->Add({}); }
  prometheus::Gauge* Gauge(const MetricSpec& spec) { return &Gauges(spec)->Add({}); }

  // In the order of declaration.
  const std::vector<MetricDescription>& descriptions() const { return descriptions_; }
  std::vector<prometheus::MetricFamily> Collect() const { return registry_.Collect(); }

 private:
  prometheus::Registry registry_;
  std::vector<MetricDescription> descriptions_;
};

}  // namespace octet::serving

#endif  // OCTET_SERVING_METRIC_REGISTRY_H_
