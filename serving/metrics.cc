#include "serving/metrics.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/check.h"
#include "prometheus/text_serializer.h"
#include "serving/process_stats.h"

namespace octet::serving {
namespace {

using prometheus::BuildCounter;
using prometheus::BuildGauge;
using prometheus::BuildHistogram;
using Buckets = prometheus::Histogram::BucketBoundaries;

constexpr char kUnknown[] = "unknown";

// The names of gRPC's status codes (grpc/status.h), which is what the label `code` says.
constexpr absl::string_view kCodeNames[] = {
    "OK",        "CANCELLED",      "UNKNOWN",           "INVALID_ARGUMENT",   "DEADLINE_EXCEEDED",
    "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION",
    "ABORTED",   "OUT_OF_RANGE",   "UNIMPLEMENTED",     "INTERNAL",           "UNAVAILABLE",
    "DATA_LOSS", "UNAUTHENTICATED"};
constexpr size_t kUnknownCode = 2;

// 18 edges, about 1-2-5 a decade; objectives are stated at 10, 20, 50 and 100 ms, so those are edges.
const Buckets& DurationBuckets() {
  static const Buckets buckets = {0.00025, 0.0005, 0.00075, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01,
                                  0.02,    0.05,   0.1,     0.2,   0.5,   1,     2,     5,      10};
  return buckets;
}

// Phases of a call start lower: tokenizing a short text takes 20 us.
const Buckets& PhaseBuckets() {
  static const Buckets buckets = [] {
    Buckets all = {0.00002, 0.00005, 0.0001};
    all.insert(all.end(), DurationBuckets().begin(), DurationBuckets().end());
    return all;
  }();
  return buckets;
}

Buckets PowersOfTwo(double last) {
  Buckets buckets;
  for (double edge = 1; edge <= last; edge *= 2) buckets.push_back(edge);
  return buckets;
}

const Buckets& BatchTokenBuckets() {
  static const Buckets buckets = PowersOfTwo(65536);
  return buckets;
}

const Buckets& BatchTextBuckets() {
  static const Buckets buckets = PowersOfTwo(1024);
  return buckets;
}

prometheus::Family<prometheus::Counter>* Counters(prometheus::Registry& registry, const char* name, const char* help) {
  return &BuildCounter().Name(name).Help(help).Register(registry);
}

prometheus::Family<prometheus::Gauge>* Gauges(prometheus::Registry& registry, const char* name, const char* help) {
  return &BuildGauge().Name(name).Help(help).Register(registry);
}

prometheus::Family<prometheus::Histogram>* Histograms(prometheus::Registry& registry, const char* name,
                                                      const char* help) {
  return &BuildHistogram().Name(name).Help(help).Register(registry);
}

// Counters that mirror a total kept elsewhere only ever go up.
void RaiseTo(prometheus::Counter* counter, double total) {
  counter->Increment(std::max(0.0, total - counter->Value()));
}

}  // namespace

absl::string_view RejectReasonName(RejectReason reason) {
  static constexpr absl::string_view kNames[] = {"queue_full", "deadline",      "cancelled",  "invalid",
                                                 "too_long",   "unknown_model", "wrong_task", "draining"};
  static_assert(std::size(kNames) == kNumRejectReasons);
  return kNames[static_cast<size_t>(reason)];
}

// The declaration of all metrics; long because it is a list.
Metrics::Metrics(MetricsOptions options)
    : container_limits_(std::move(options.container_limits)),
      methods_(std::move(options.methods)),
      calls_(new std::atomic<prometheus::Histogram*>[(kMaxMethods + 1) * (kMaxModels + 1) * kNumCodes]()) {
  OCTET_CHECK(methods_.size() <= kMaxMethods);
  methods_.insert(methods_.begin(), kUnknown);
  auto& r = registry_;

  request_duration_ =
      Histograms(r, "octet_request_duration_seconds", "Time from a call's arrival to its answer, by outcome.");
  tokenize_duration_ = Histograms(r, "octet_tokenize_duration_seconds", "Time of tokenizing a call's texts.");
  queue_duration_ =
      Histograms(r, "octet_queue_duration_seconds", "Time a call waited, for a tokenizer and for a worker.");
  inference_duration_ =
      Histograms(r, "octet_inference_duration_seconds", "Time of the forward pass that a call was part of.");
  batch_tokens_ = Histograms(r, "octet_batch_tokens", "Tokens of a forward pass.");
  batch_size_ = Histograms(r, "octet_batch_size", "Texts of a forward pass.");
  texts_ = Counters(r, "octet_texts_total", "Texts answered.");
  tokens_ = Counters(r, "octet_tokens_total", "Tokens of the texts answered, after truncation.");
  truncated_ = Counters(r, "octet_truncated_total", "Texts cut to the model's limit at the caller's wish.");
  non_finite_ = Counters(r, "octet_non_finite_outputs_total",
                         "Texts for which the model gave NaN or infinity; their calls failed.");
  model_info_ = Gauges(r, "octet_model_info", "1 for each loaded model; the labels describe it.");
  model_loaded_ = Gauges(r, "octet_model_loaded", "1 when the model is loaded.");
  model_load_seconds_ = Gauges(r, "octet_model_load_seconds", "Time that loading the model took.");

  auto* started = Counters(r, "octet_calls_started_total", "Calls that arrived, whatever became of them.");
  for (const std::string& method : methods_) started_.push_back(&started->Add({{"method", method}}));
  auto* rejected = Counters(r, "octet_rejected_total", "Calls turned away before compute, by reason.");
  for (size_t i = 0; i < kNumRejectReasons; ++i) {
    const absl::string_view name = RejectReasonName(static_cast<RejectReason>(i));
    rejected_[i] = &rejected->Add({{"reason", std::string(name.data(), name.size())}});
  }
  inflight_ = &Gauges(r, "octet_inflight_requests", "Calls that have arrived and are not answered.")->Add({});
  queue_texts_ = &Gauges(r, "octet_queue_depth", "Texts waiting for a worker.")->Add({});
  queue_tokens_ = &Gauges(r, "octet_queue_tokens", "Tokens waiting for a worker.")->Add({});
  queue_pending_bytes_ =
      &Gauges(r, "octet_queue_pending_bytes", "Bytes of texts admitted but not tokenized yet.")->Add({});
  queue_oldest_age_ =
      &Gauges(r, "octet_queue_oldest_age_seconds", "Age of the text that has waited longest for a worker.")->Add({});
  expired_in_queue =
      &Counters(r, "octet_expired_in_queue_total", "Calls dropped because their deadline passed before compute.")
           ->Add({});
  cancelled_in_queue =
      &Counters(r, "octet_cancelled_total", "Calls dropped because their client left before compute.")->Add({});
  computed_after_expiry =
      &Counters(r, "octet_computed_after_expiry_total", "Texts computed although their deadline had passed; stays 0.")
           ->Add({});
  worker_faults = &Counters(r, "octet_worker_faults_total", "Batches lost to a fault of the server.")->Add({});

  Gauges(r, "octet_build_info", "1; the labels describe this build and its instruction set.")
      ->Add({{"version", options.version}, {"commit", options.commit}, {"isa", options.isa}})
      .Set(1);
  Gauges(r, "octet_threads", "Threads that compute.")->Add({}).Set(options.num_threads);
  const double affinity_cpus = container_limits_.affinity_cpus();
  Gauges(r, "octet_cpu_limit_cores", "CPUs that the container's quota, its CPU set and affinity allow.")
      ->Add({})
      .Set(
          std::min({affinity_cpus, container_limits_.cpu_quota().value_or(affinity_cpus),
                    static_cast<double>(container_limits_.cpuset_cpus().value_or(container_limits_.affinity_cpus()))}));
  cpu_throttled_ = &Counters(r, "octet_cpu_throttled_seconds_total",
                             "Time that the container's threads were held back by its CPU quota.")
                        ->Add({});
  cpu_rests =
      &Counters(r, "octet_cpu_rest_seconds_total",
                "Time that compute threads rested so that the CPU quota is not overdrawn; grows when it is too small.")
           ->Add({});
  process_cpu_ = &Counters(r, "process_cpu_seconds_total", "User and system CPU time.")->Add({});
  process_resident_ = &Gauges(r, "process_resident_memory_bytes", "Resident memory.")->Add({});
  process_virtual_ = &Gauges(r, "process_virtual_memory_bytes", "Virtual memory.")->Add({});
  process_open_fds_ = &Gauges(r, "process_open_fds", "Open file descriptors.")->Add({});
  process_max_fds_ = &Gauges(r, "process_max_fds", "Most file descriptors allowed.")->Add({});
  process_start_time_ = &Gauges(r, "process_start_time_seconds", "Start of the process since the Unix epoch.")->Add({});

  MakeModel(0, kUnknown);
  model_count_.store(1, std::memory_order_release);
}

Metrics::~Metrics() = default;

void Metrics::MakeModel(size_t idx, const std::string& name) {
  const prometheus::Labels labels = {{"model", name}};
  ModelMetrics& model = models_[idx];
  model.name = name;
  model.texts = &texts_->Add(labels);
  model.tokens = &tokens_->Add(labels);
  model.truncated = &truncated_->Add(labels);
  model.non_finite = &non_finite_->Add(labels);
  model.tokenize_seconds = &tokenize_duration_->Add(labels, PhaseBuckets());
  model.queue_seconds = &queue_duration_->Add(labels, PhaseBuckets());
  model.inference_seconds = &inference_duration_->Add(labels, PhaseBuckets());
  model.batch_tokens = &batch_tokens_->Add(labels, BatchTokenBuckets());
  model.batch_texts = &batch_size_->Add(labels, BatchTextBuckets());
}

void Metrics::RegisterModel(const ModelLabels& labels) {
  MutexLock lock(&register_mu_);
  const size_t count = model_count_.load(std::memory_order_relaxed);
  if (ModelIdx(labels.name) != 0 || labels.name == kUnknown || count > kMaxModels) return;
  MakeModel(count, labels.name);
  const prometheus::Labels model = {{"model", labels.name}};
  model_info_
      ->Add({{"model", labels.name},
             {"version", labels.version},
             {"precision", labels.precision},
             {"quantization", labels.quantization},
             {"isa", labels.isa}})
      .Set(1);
  model_loaded_->Add(model).Set(1);
  model_load_seconds_->Add(model).Set(absl::ToDoubleSeconds(labels.load_time));
  model_count_.store(count + 1, std::memory_order_release);
}

size_t Metrics::ModelIdx(absl::string_view name) const {
  const size_t count = model_count_.load(std::memory_order_acquire);
  for (size_t i = 1; i < count; ++i) {
    if (models_[i].name == name) return i;
  }
  return 0;
}

size_t Metrics::MethodIdx(absl::string_view name) const {
  for (size_t i = 1; i < methods_.size(); ++i) {
    if (methods_[i] == name) return i;
  }
  return 0;
}

prometheus::Histogram* Metrics::CallHistogram(size_t method, size_t model, size_t code) {
  auto& slot = calls_[(method * (kMaxModels + 1) + model) * kNumCodes + code];
  prometheus::Histogram* histogram = slot.load(std::memory_order_acquire);
  if (histogram == nullptr) {  // Add gives the same child to everyone who comes at the same time
    histogram = &request_duration_->Add({{"method", methods_[method]},
                                         {"model", models_[model].name},
                                         {"code", std::string(kCodeNames[code].data(), kCodeNames[code].size())}},
                                        DurationBuckets());
    slot.store(histogram, std::memory_order_release);
  }
  return histogram;
}

void Metrics::StartCall(absl::string_view method) {
  started_[MethodIdx(method)]->Increment();
  inflight_->Increment();
}

void Metrics::RecordCall(absl::string_view method, absl::string_view model, absl::string_view code_name,
                         absl::Duration duration) {
  static_assert(std::size(kCodeNames) == kNumCodes);
  const auto* code = std::find(std::begin(kCodeNames), std::end(kCodeNames), code_name);
  const size_t code_idx = code == std::end(kCodeNames) ? kUnknownCode : code - std::begin(kCodeNames);
  CallHistogram(MethodIdx(method), ModelIdx(model), code_idx)->Observe(absl::ToDoubleSeconds(duration));
  inflight_->Decrement();
}

void Metrics::SetQueueProbe(std::function<QueueSnapshot()> probe) {
  MutexLock lock(&refresh_mu_);
  queue_probe_ = std::move(probe);
}

void Metrics::RefreshGauges() const {
  MutexLock lock(&refresh_mu_);
  const QueueSnapshot queue = queue_probe_ ? queue_probe_() : QueueSnapshot();
  queue_texts_->Set(static_cast<double>(queue.texts));
  queue_tokens_->Set(static_cast<double>(queue.tokens));
  queue_pending_bytes_->Set(static_cast<double>(queue.pending_bytes));
  queue_oldest_age_->Set(absl::ToDoubleSeconds(queue.oldest_age));
  const ProcessStats process = ReadProcessStats();
  RaiseTo(process_cpu_, process.cpu_seconds);
  process_resident_->Set(process.resident_bytes);
  process_virtual_->Set(process.virtual_bytes);
  process_open_fds_->Set(process.open_fds);
  process_max_fds_->Set(process.max_fds);
  process_start_time_->Set(process.start_time_seconds);
  if (const auto throttled = container_limits_.ThrottledTime()) {
    RaiseTo(cpu_throttled_, absl::ToDoubleSeconds(*throttled));
  }
}

std::vector<prometheus::MetricFamily> Metrics::Collect() const {
  RefreshGauges();
  return registry_.Collect();
}

std::string Metrics::Render() const { return prometheus::TextSerializer().Serialize(Collect()); }

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
