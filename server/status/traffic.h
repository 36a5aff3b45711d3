// What each model answered, read from the metrics: totals at one moment, and their difference over the last minute, for
// people who look at one process. Dashboards have the same from Prometheus, over all replicas and any time.
#ifndef OCTET_SERVER_STATUS_TRAFFIC_H_
#define OCTET_SERVER_STATUS_TRAFFIC_H_

#include <deque>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/mutex.h"
#include "prometheus/metric_family.h"
#include "serving/metrics.h"

namespace octet::status {

struct LatencyBucket {
  double upper_bound = 0;  // seconds; the last one is infinite
  double count = 0;        // of calls up to it
};

struct ModelTraffic {
  double calls = 0, failed = 0;        // with any outcome; with another one than OK
  double texts = 0, tokens = 0;        // answered
  std::vector<LatencyBucket> latency;  // of calls that ended OK, upwards; empty before the first one
};

// By model; calls that failed before a model was found count for "unknown".
struct Traffic {
  MonotonicTime at;
  std::map<std::string, ModelTraffic> models;
};

Traffic TrafficOf(const std::vector<prometheus::MetricFamily>& families, MonotonicTime at);

// What came between the two, `earlier` first.
ModelTraffic Difference(const ModelTraffic& later, const ModelTraffic& earlier);

// Seconds that the share `quantile` of calls stayed within, interpolated within a bucket as Prometheus' histogram_quantile
// does; the lower bound of the last bucket if it lies there, NaN without calls.
double Quantile(const std::vector<LatencyBucket>& latency, double quantile);

// Keeps the traffic of the last minute, a sample every five seconds, on a thread of its own. Thread-safe.
class TrafficHistory {
 public:
  // Both must outlive it.
  TrafficHistory(const serving::Metrics* metrics, const Clock* clock);
  ~TrafficHistory();
  TrafficHistory(const TrafficHistory&) = delete;
  TrafficHistory& operator=(const TrafficHistory&) = delete;

  // The oldest sample: a minute old, or as old as the history.
  Traffic Oldest() const;

 private:
  void Run();

  const serving::Metrics* const metrics_;
  const Clock* const clock_;
  mutable Mutex mu_;
  CondVar stop_;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  std::deque<Traffic> samples_ ABSL_GUARDED_BY(mu_);  // never empty
  std::thread thread_;
};

}  // namespace octet::status

#endif  // OCTET_SERVER_STATUS_TRAFFIC_H_
