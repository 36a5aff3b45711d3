// The reading half of metrics.h: sums over counters.
#include "serving/metrics.h"

namespace octet::serving {
namespace {

CountAndTime TotalOf(const prometheus::Histogram& seconds) {
  const auto collected = seconds.Collect().histogram;
  return {.count = collected.sample_count, .time = absl::Seconds(collected.sample_sum)};
}

}  // namespace

ModelTotals Metrics::TotalsOf(absl::string_view name) const {
  const size_t model_idx = ModelIdx(name);
  const ModelMetrics& model = models_[model_idx];
  ModelTotals totals = {.texts = static_cast<uint64_t>(model.texts->Value()),
                        .batches = TotalOf(*model.batch_texts).count,
                        .tokenize = TotalOf(*model.tokenize_seconds),
                        .queue = TotalOf(*model.queue_seconds),
                        .inference = TotalOf(*model.inference_seconds),
                        .failed = {}};
  for (size_t method = 0; method < methods_.size(); ++method) {
    for (size_t code = 1; code < kNumCodes; ++code) {  // 0 is OK
      const auto& slot = calls_[(method * (kMaxModels + 1) + model_idx) * kNumCodes + code];
      const prometheus::Histogram* const histogram = slot.load(std::memory_order_acquire);
      if (histogram == nullptr) continue;
      const CountAndTime failed = TotalOf(*histogram);
      totals.failed.count += failed.count;
      totals.failed.time += failed.time;
    }
  }
  return totals;
}

double Metrics::TotalStarted() const {
  double total = 0;
  for (const prometheus::Counter* counter : started_) total += counter->Value();
  return total;
}

double Metrics::TotalRecorded() const {
  double total = 0;
  for (const auto& family : request_duration_->Collect()) {
    for (const auto& metric : family.metric) total += static_cast<double>(metric.histogram.sample_count);
  }
  return total;
}

}  // namespace octet::serving
