// Every metric that octet exports, declared in one struct (names and help texts: metrics.cc; the table for
// operators: docs). Recording is cheap enough for every call: children are looked up once and kept, labels
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
#include "prometheus/registry.h"
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
};
inline constexpr size_t kNumRejectReasons = 8;
absl::string_view RejectReasonName(RejectReason reason);  // "queue_full", ...

// What the queue looks like at one moment.
struct QueueSnapshot {
  size_t texts = 0, tokens = 0;  // tokenized, waiting for a worker
  size_t pending_bytes = 0;      // admitted, waiting for or in tokenizing
  absl::Duration oldest_age;     // of the texts waiting for a worker; zero when there are none
};

// The children of one model. Valid as long as the Metrics.
struct ModelMetrics {
  std::string name;                                   // the label value
  prometheus::Counter* texts = nullptr;               // answered
  prometheus::Counter* tokens = nullptr;              // of answered texts, after truncation
  prometheus::Counter* truncated = nullptr;           // texts
  prometheus::Counter* non_finite = nullptr;          // texts
  prometheus::Histogram* tokenize_seconds = nullptr;  // these three once per answered call
  prometheus::Histogram* queue_seconds = nullptr;
  prometheus::Histogram* inference_seconds = nullptr;
  prometheus::Histogram* batch_tokens = nullptr;
  prometheus::Histogram* batch_texts = nullptr;
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
  ContainerLimits container_limits;
};

struct Metrics final : public prometheus::Collectable {
 public:
  static constexpr size_t kMaxMethods = 24;
  static constexpr size_t kMaxModels = 32;  // later ones share the label "unknown"

  explicit Metrics(MetricsOptions options);
  ~Metrics() override;
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  // Declares a model before its first call; a second time is ignored.
  void RegisterModel(const ModelLabels& labels);
  // The model's children, or those of "unknown".
  ModelMetrics* ForModel(absl::string_view name) { return &models_[ModelIdx(name)]; }
  // What the model's shadow counts; its series exist from here on.
  ShadowMetrics ForShadow(absl::string_view name) { return shadow_.ForModel(models_[ModelIdx(name)].name); }

  // Every call is started once and recorded once, whatever becomes of it; in flight is the difference.
  // `code_name`: of gRPC ("OK", "INVALID_ARGUMENT", ...), others fold into "UNKNOWN". The model of a call
  // that failed before one was found is "".
  void StartCall(absl::string_view method);
  void RecordCall(absl::string_view method, absl::string_view model, absl::string_view code_name,
                  absl::Duration duration);
  void RecordRejected(RejectReason reason) { rejected_[static_cast<size_t>(reason)]->Increment(); }

  // `probe` is called on every scrape until it is replaced or cleared with nullptr; when this returns, the
  // earlier probe is not running any more.
  void SetQueueProbe(std::function<QueueSnapshot()> probe);

  // Reads queue, process and container into the gauges.
  void RefreshGauges() const;
  std::vector<prometheus::MetricFamily> Collect() const override;  // refreshes first
  // The text exposition format, version 0.0.4.
  std::string Render() const;

  // Sums for checks and tests.
  double TotalStarted() const;
  double TotalRecorded() const;
  double Rejected(RejectReason reason) const { return rejected_[static_cast<size_t>(reason)]->Value(); }

 private:
  static constexpr size_t kNumCodes = 17;

  size_t ModelIdx(absl::string_view name) const;   // 0 = "unknown"
  size_t MethodIdx(absl::string_view name) const;  // 0 = "unknown"
  void MakeModel(size_t idx, const std::string& name);
  prometheus::Histogram* CallHistogram(size_t method, size_t model, size_t code);

  prometheus::Registry registry_;  // owns all children
  ShadowFamilies shadow_{&registry_};
  const ContainerLimits container_limits_;
  std::vector<std::string> methods_;  // [0] = "unknown"

  // Families with children made later.
  prometheus::Family<prometheus::Histogram>* request_duration_;  // method, model, code
  prometheus::Family<prometheus::Histogram>* tokenize_duration_;
  prometheus::Family<prometheus::Histogram>* queue_duration_;
  prometheus::Family<prometheus::Histogram>* inference_duration_;
  prometheus::Family<prometheus::Histogram>* batch_tokens_;
  prometheus::Family<prometheus::Histogram>* batch_size_;
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
  prometheus::Gauge* inflight_;
  prometheus::Gauge* queue_texts_;
  prometheus::Gauge* queue_tokens_;
  prometheus::Gauge* queue_pending_bytes_;
  prometheus::Gauge* queue_oldest_age_;
  prometheus::Gauge* process_resident_;
  prometheus::Gauge* process_virtual_;
  prometheus::Gauge* process_open_fds_;
  prometheus::Gauge* process_max_fds_;
  prometheus::Gauge* process_start_time_;
  prometheus::Counter* process_cpu_;
  prometheus::Counter* cpu_throttled_;

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
  // [method][model][code], made at the first use.
  std::unique_ptr<std::atomic<prometheus::Histogram*>[]> calls_;
  Mutex register_mu_;
  mutable Mutex refresh_mu_;
  std::function<QueueSnapshot()> queue_probe_ ABSL_GUARDED_BY(refresh_mu_);
};

}  // namespace octet::serving

#endif  // OCTET_SERVING_METRICS_H_
