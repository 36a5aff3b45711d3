// Every metric that octet exports, declared in one struct (names and help texts: metrics.cc; the table for
// operators: docs/metrics.md, made from the declarations). Recording is cheap enough for every call: children are looked up once and kept, labels
// come from sets fixed before serving, and whatever is not in the set folds into "unknown", so no caller
// can grow the number of series. Values that are read rather than counted (queue, process, container) are
// refreshed when the struct is collected. Thread-safe.
#ifndef OCTET_SERVING_METRICS_H_
#define OCTET_SERVING_METRICS_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/container_limits.h"
#include "base/mutex.h"
#include "prometheus/collectable.h"
#include "prometheus/counter.h"
#include "prometheus/family.h"
#include "prometheus/gauge.h"
#include "prometheus/histogram.h"
#include "prometheus/metric_family.h"
#include "serving/credential_metrics.h"
#include "serving/metric_registry.h"
#include "serving/process_metrics.h"
#include "serving/shadow_metrics.h"

namespace octet::serving {

// Why a call was turned away; the label `reason` of octet_rejected_total.
enum class RejectReason {
  kQueueFull,
  kDeadline,
  kCancelled,
  kInvalid,
  kTooLong,
  kUnknownModel,
  kWrongTask,
  kDraining,
  kUnauthenticated,  // no token, or none of the server's; not among the calls started
};
inline constexpr size_t kNumRejectReasons = 9;
absl::string_view RejectReasonName(RejectReason reason);  // "queue_full", ...

// What became of spans; the label `result` of octet_trace_spans_total.
enum class SpanResult {
  kExported,  // the collector took them
  kDropped,   // never sent: the queue was full, or the end of the process came first
  kFailed,    // sent in vain, or refused
};
inline constexpr size_t kNumSpanResults = 3;
absl::string_view SpanResultName(SpanResult result);  // "exported", ...

// What the queue looks like at one moment.
struct QueueSnapshot {
  size_t texts = 0, tokens = 0;  // tokenized, waiting for a worker
  size_t pending_bytes = 0;      // admitted, waiting for or in tokenizing
  absl::Duration oldest_age;     // of the texts waiting for a worker; zero when there are none
};

// Where the queue is full and calls are refused, and how large a batch may be.
struct QueueLimits {
  size_t texts = 0, tokens = 0;
  size_t pending_bytes = 0;
  size_t batch_tokens = 0;
};

// Where the time of an answered call went.
struct PhaseTimes {
  absl::Duration tokenize, queue, inference;
};

// The children of one model. Valid as long as the Metrics.
struct ModelMetrics {
  std::string name;                           // the label value
  prometheus::Counter* texts = nullptr;       // answered
  prometheus::Counter* tokens = nullptr;      // of answered texts, after truncation
  prometheus::Counter* truncated = nullptr;   // texts
  prometheus::Counter* non_finite = nullptr;  // texts
  prometheus::Histogram* batch_tokens = nullptr;
  prometheus::Histogram* batch_texts = nullptr;
};

// What a model's counters have come to; read one by one, so two of them may be a call apart.
struct CountAndTime {
  uint64_t count = 0;
  absl::Duration time;
};
struct ModelTotals {
  uint64_t texts = 0, batches = 0;
  CountAndTime tokenize, queue, inference;  // of answered calls
  CountAndTime failed;                      // calls, from arrival to the error
};

// What octet_model_info says about a model.
struct ModelLabels {
  std::string name, version, precision, isa;
  absl::Duration load_time;
  std::string quantization = {};  // model::ModelInfo's
};

struct MetricsOptions {
  std::vector<std::string> methods;  // full names that RecordCall will meet, at most kMaxMethods
  std::string version, commit, isa;  // of octet_build_info
  int num_threads = 0;               // that compute
  // Upper edges in seconds, ascending, at least one. About 1-2-5 a decade; objectives are stated at 10, 20, 50 and
  // 100 ms, so those are edges.
  std::vector<double> duration_buckets = {0.00025, 0.0005, 0.00075, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01,
                                          0.02,    0.05,   0.1,     0.2,   0.5,   1,     2,     5,      10};
  ContainerLimits container_limits;
};

struct Metrics final : public prometheus::Collectable {
 public:
  static constexpr size_t kMaxMethods = 48;
  static constexpr size_t kMaxModels = 32;  // later ones share the label "unknown"

  explicit Metrics(MetricsOptions options);
  ~Metrics() override;
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  // A model that is to be loaded: it counts as not loaded until it is registered.
  void ExpectModel(const std::string& name) { model_loaded_->Add({{"model", name}}).Set(0); }
  // Declares a model before its first call; a second time is ignored.
  void RegisterModel(const ModelLabels& labels);
  // The model's children, or those of "unknown".
  ModelMetrics* ForModel(absl::string_view name) { return &models_[ModelIdx(name)]; }
  // What the model's shadow counts; its series exist from here on.
  ShadowMetrics ForShadow(absl::string_view name) { return shadow_.ForModel(models_[ModelIdx(name)].name); }

  // What re-reading certificates and tokens counts.
  CredentialFamilies* credentials() { return &credentials_; }

  // Every call is started once and recorded once, whatever becomes of it; in flight is the difference.
  // `code_name`: of gRPC ("OK", "INVALID_ARGUMENT", ...), others fold into "UNKNOWN". The model of a call
  // that failed before one was found is "".
  void StartCall(absl::string_view method);
  void RecordCall(absl::string_view method, absl::string_view model, absl::string_view code_name,
                  absl::Duration duration);
  // Once for every call that the pipeline has answered; `method` and `model` as above.
  void RecordPhases(absl::string_view method, absl::string_view model, const PhaseTimes& times);
  void RecordRejected(RejectReason reason) { rejected_[static_cast<size_t>(reason)]->Increment(); }

  void RecordSpans(SpanResult result, size_t num_spans) {
    spans_[static_cast<size_t>(result)]->Increment(static_cast<double>(num_spans));
  }

  // `probe` is called on every scrape until it is replaced or cleared with nullptr; when this returns, the
  // earlier probe is not running any more.
  void SetQueueProbe(std::function<QueueSnapshot()> probe);

  void SetQueueLimits(const QueueLimits& limits);
  // Whether calls are welcome, as /readyz says.
  void SetReady(bool ready) { ready_->Set(ready ? 1 : 0); }

  // Reads queue, process and container into the gauges.
  void RefreshGauges() const;
  std::vector<prometheus::MetricFamily> Collect() const override;  // refreshes first
  // The text exposition format, version 0.0.4.
  std::string Render() const;

  // Of every family, also of those that have no series yet, in the order of declaration.
  const std::vector<MetricDescription>& descriptions() const { return registry_.descriptions(); }
  // Of the model's children, or those of "unknown".
  ModelTotals TotalsOf(absl::string_view name) const;

  // Sums for checks and tests.
  double TotalStarted() const;
  double TotalRecorded() const;
  double Rejected(RejectReason reason) const { return rejected_[static_cast<size_t>(reason)]->Value(); }
  double Spans(SpanResult result) const { return spans_[static_cast<size_t>(result)]->Value(); }

 private:
  static constexpr size_t kNumCodes = 17;
  static constexpr size_t kNumPhases = 3;  // as PhaseTimes

  size_t ModelIdx(absl::string_view name) const;   // 0 = "unknown"
  size_t MethodIdx(absl::string_view name) const;  // 0 = "unknown"
  void DeclareModels();
  void DeclareCalls();
  void DeclareQueue();
  void MakeModel(size_t idx, const std::string& name);
  prometheus::Histogram* CallHistogram(size_t method, size_t model, size_t code);
  prometheus::Histogram* PhaseHistogram(size_t method, size_t model, size_t phase);

  MetricRegistry registry_;           // owns all children
  std::vector<std::string> methods_;  // [0] = "unknown"

  // Families with children made later.
  const HistogramFamily request_duration_;
  const std::array<HistogramFamily, kNumPhases> phase_durations_;
  const HistogramFamily batch_tokens_;
  const HistogramFamily batch_size_;
  prometheus::Family<prometheus::Counter>* texts_;
  prometheus::Family<prometheus::Counter>* tokens_;
  prometheus::Family<prometheus::Counter>* truncated_;
  prometheus::Family<prometheus::Counter>* non_finite_;
  prometheus::Family<prometheus::Gauge>* model_info_;
  prometheus::Family<prometheus::Gauge>* model_loaded_;
  prometheus::Family<prometheus::Gauge>* model_load_seconds_;

  // Children fixed at construction.
  std::vector<prometheus::Counter*> started_;  // by method
  std::array<prometheus::Counter*, kNumRejectReasons> rejected_;
  std::array<prometheus::Counter*, kNumSpanResults> spans_;
  prometheus::Gauge* inflight_;
  prometheus::Gauge* queue_texts_;
  prometheus::Gauge* queue_tokens_;
  prometheus::Gauge* queue_pending_bytes_;
  prometheus::Gauge* queue_oldest_age_;
  prometheus::Gauge* queue_texts_limit_;
  prometheus::Gauge* queue_tokens_limit_;
  prometheus::Gauge* queue_pending_bytes_limit_;
  prometheus::Gauge* batch_tokens_limit_;
  prometheus::Gauge* ready_;

  ShadowFamilies shadow_{&registry_};
  CredentialFamilies credentials_{&registry_};
  const ProcessMetrics process_;

 public:
  // Counted by the pipeline.
  prometheus::Counter* expired_in_queue;       // calls whose deadline passed before compute
  prometheus::Counter* cpu_rests;              // seconds that compute threads rested (base/cpu_pacer.h)
  prometheus::Counter* cancelled_in_queue;     // calls whose client left before compute
  prometheus::Counter* computed_after_expiry;  // texts; stays 0
  prometheus::Counter* worker_faults;          // batches lost to an exception or a model error

 private:
  // Published by model_count_: a slot is written once, before the count includes it.
  std::array<ModelMetrics, kMaxModels + 1> models_;
  std::atomic<size_t> model_count_{0};
  // [method][model][code] and [method][model][phase], made at the first use.
  std::unique_ptr<std::atomic<prometheus::Histogram*>[]> calls_;
  std::unique_ptr<std::atomic<prometheus::Histogram*>[]> phases_;
  Mutex register_mu_;
  mutable Mutex refresh_mu_;
  std::function<QueueSnapshot()> queue_probe_ ABSL_GUARDED_BY(refresh_mu_);
};

}  // namespace octet::serving

#endif  // OCTET_SERVING_METRICS_H_
