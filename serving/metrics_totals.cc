// The reading half of metrics.h: sums over counters.
#include "serving/metrics.h"

namespace octet::serving {
namespace {

void Add(const std::atomic<prometheus::Histogram*>& seconds, CountAndTime* total) {
  const prometheus::Histogram* const histogram = seconds.load(std::memory_order_acquire);
  if (histogram == nullptr) return;  // nothing was counted yet
  const auto collected = histogram->Collect().histogram;
  total->count += collected.sample_count;
  total->time += absl::Seconds(collected.sample_sum);
}

}  // namespace

ModelTotals Metrics::TotalsOf(absl::string_view name) const {
  const size_t model_idx = ModelIdx(name);
  const ModelMetrics& model = models_[model_idx];
  ModelTotals totals = {.texts = static_cast<uint64_t>(model.texts->Value()),
                        .batches = model.batch_texts->Collect().histogram.sample_count,
                        .tokenize = {},
                        .queue = {},
                        .inference = {},
                        .failed = {}};
  const std::array<CountAndTime*, kNumPhases> phases = {&totals.tokenize, &totals.queue, &totals.inference};
  for (size_t method = 0; method < methods_.size(); ++method) {
    const size_t row = method * (kMaxModels + 1) + model_idx;
    for (size_t phase = 0; phase < kNumPhases; ++phase) Add(phases_[row * kNumPhases + phase], phases[phase]);
    for (size_t code = 1; code < kNumCodes; ++code) Add(calls_[row * kNumCodes + code], &totals.failed);  // 0 is OK
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
  for (const auto& family : request_duration_.Collect()) {
    for (const auto& metric : family.metric) total += static_cast<double>(metric.histogram.sample_count);
  }
  return total;
}

}  // namespace octet::serving
