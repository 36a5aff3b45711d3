#include "server/status/traffic.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "server/status/metric_values.h"

namespace octet::status {
namespace {

constexpr absl::Duration kSampleInterval = absl::Seconds(5);
constexpr size_t kSamples = 13;  // a minute from the first to the last

void AddLatency(const prometheus::ClientMetric::Histogram& histogram, std::vector<LatencyBucket>* latency) {
  latency->resize(std::max(latency->size(), histogram.bucket.size()));
  for (size_t i = 0; i < histogram.bucket.size(); ++i) {
    (*latency)[i].upper_bound = histogram.bucket[i].upper_bound;
    (*latency)[i].count += static_cast<double>(histogram.bucket[i].cumulative_count);
  }
}

}  // namespace

Traffic TrafficOf(const std::vector<prometheus::MetricFamily>& families, MonotonicTime at) {
  Traffic traffic{.at = at, .models = {}};
  for (const prometheus::MetricFamily& family : families) {
    for (const prometheus::ClientMetric& metric : family.metric) {
      if (family.name == "octet_request_duration_seconds") {
        ModelTraffic& model = traffic.models[LabelOf(metric, "model")];
        const auto calls = static_cast<double>(metric.histogram.sample_count);
        const bool ok = LabelOf(metric, "code") == "OK";
        model.calls += calls;
        if (!ok) model.failed += calls;
        if (ok) AddLatency(metric.histogram, &model.latency);
      } else if (family.name == "octet_texts_total") {
        traffic.models[LabelOf(metric, "model")].texts += metric.counter.value;
      } else if (family.name == "octet_tokens_total") {
        traffic.models[LabelOf(metric, "model")].tokens += metric.counter.value;
      }
    }
  }
  return traffic;
}

ModelTraffic Difference(const ModelTraffic& later, const ModelTraffic& earlier) {
  ModelTraffic difference = later;
  difference.calls -= earlier.calls;
  difference.failed -= earlier.failed;
  difference.texts -= earlier.texts;
  difference.tokens -= earlier.tokens;
  for (size_t i = 0; i < std::min(later.latency.size(), earlier.latency.size()); ++i) {
    difference.latency[i].count -= earlier.latency[i].count;
  }
  return difference;
}

double Quantile(const std::vector<LatencyBucket>& latency, double quantile) {
  const double calls = latency.empty() ? 0 : latency.back().count;
  if (calls == 0) return std::numeric_limits<double>::quiet_NaN();
  const double rank = quantile * calls;
  double lower = 0, below = 0;
  for (const LatencyBucket& bucket : latency) {
    if (bucket.count >= rank) {
      if (std::isinf(bucket.upper_bound)) return lower;
      const double in_bucket = bucket.count - below;  // above 0, but for a quantile of 0
      return in_bucket == 0 ? lower : lower + (bucket.upper_bound - lower) * (rank - below) / in_bucket;
    }
    lower = bucket.upper_bound;
    below = bucket.count;
  }
  return lower;
}

TrafficHistory::TrafficHistory(const serving::Metrics* metrics, const Clock* clock)
    : metrics_(metrics), clock_(clock), samples_({TrafficOf(metrics->Collect(), clock->Now())}) {
  thread_ = std::thread([this] { Run(); });
}

TrafficHistory::~TrafficHistory() {
  {
    MutexLock lock(&mu_);
    stopping_ = true;
    stop_.SignalAll();
  }
  thread_.join();
}

Traffic TrafficHistory::Oldest() const {
  MutexLock lock(&mu_);
  return samples_.front();
}

void TrafficHistory::Run() {
  MonotonicTime next = clock_->Now() + kSampleInterval;
  for (;;) {
    {
      MutexLock lock(&mu_);
      while (!stopping_ && clock_->Now() < next) stop_.WaitWithTimeout(&mu_, next - clock_->Now());
      if (stopping_) return;
    }
    Traffic sample = TrafficOf(metrics_->Collect(), clock_->Now());
    MutexLock lock(&mu_);
    samples_.push_back(std::move(sample));
    if (samples_.size() > kSamples) samples_.pop_front();
    next += kSampleInterval;
  }
}

}  // namespace octet::status
