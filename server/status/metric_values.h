// Reading of collected metrics. Pure functions.
#ifndef OCTET_SERVER_STATUS_METRIC_VALUES_H_
#define OCTET_SERVER_STATUS_METRIC_VALUES_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "prometheus/metric_family.h"

namespace octet::status {

// "" if it has no such label.
inline std::string LabelOf(const prometheus::ClientMetric& metric, absl::string_view name) {
  for (const auto& label : metric.label) {
    if (label.name == name) return label.value;
  }
  return "";
}

// The series of a metric; none if there is no metric of that name.
inline std::vector<prometheus::ClientMetric> SeriesOf(const std::vector<prometheus::MetricFamily>& families,
                                                      absl::string_view name) {
  for (const prometheus::MetricFamily& family : families) {
    if (family.name == name) return family.metric;
  }
  return {};
}

// Of a gauge without labels; absent if there is none.
inline std::optional<double> GaugeValue(const std::vector<prometheus::MetricFamily>& families, absl::string_view name) {
  const std::vector<prometheus::ClientMetric> series = SeriesOf(families, name);
  if (series.empty()) return std::nullopt;
  return series.front().gauge.value;
}

}  // namespace octet::status

#endif  // OCTET_SERVER_STATUS_METRIC_VALUES_H_
