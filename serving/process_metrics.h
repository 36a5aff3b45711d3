// What the process uses and what its container allows: a part of Metrics (metrics.h). Everything here is read, not
// counted, so Refresh must run before values are collected. Refresh is for one thread at a time.
#ifndef OCTET_SERVING_PROCESS_METRICS_H_
#define OCTET_SERVING_PROCESS_METRICS_H_

#include "base/container_limits.h"
#include "prometheus/counter.h"
#include "prometheus/gauge.h"
#include "serving/metric_registry.h"

namespace octet::serving {

class ProcessMetrics {
 public:
  // `registry` must outlive it. `num_threads`: that compute.
  ProcessMetrics(MetricRegistry* registry, ContainerLimits container_limits, int num_threads);

  void Refresh() const;

 private:
  void SetLimits(MetricRegistry* registry, int num_threads) const;

  const ContainerLimits container_limits_;
  prometheus::Counter* const throttled_;
  prometheus::Counter* const periods_;
  prometheus::Counter* const throttled_periods_;
  prometheus::Counter* const cpu_;
  prometheus::Gauge* const resident_;
  prometheus::Gauge* const virtual_;
  prometheus::Gauge* const open_fds_;
  prometheus::Gauge* const max_fds_;
  prometheus::Gauge* const start_time_;
};

}  // namespace octet::serving

#endif  // OCTET_SERVING_PROCESS_METRICS_H_
