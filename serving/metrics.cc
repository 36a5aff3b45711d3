#include "serving/metrics.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/check.h"
#include "prometheus/text_serializer.h"

namespace octet::serving {
namespace {

using Buckets = prometheus::Histogram::BucketBoundaries;

constexpr char kUnknown[] = "unknown";

// The names of gRPC's status codes (grpc/status.h), which is what the label `code` says.
constexpr absl::string_view kCodeNames[] = {
    "OK",        "CANCELLED",      "UNKNOWN",           "INVALID_ARGUMENT",   "DEADLINE_EXCEEDED",
    "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION",
    "ABORTED",   "OUT_OF_RANGE",   "UNIMPLEMENTED",     "INTERNAL",           "UNAVAILABLE",
    "DATA_LOSS", "UNAUTHENTICATED"};
constexpr size_t kOk = 0, kUnknownCode = 2;

// Phases of a call start lower: tokenizing a short text takes 20 us.
Buckets PhaseBuckets(const Buckets& durations) {
  Buckets buckets = {0.00002, 0.00005, 0.0001};
  while (!buckets.empty() && buckets.back() >= durations.front()) buckets.pop_back();
  buckets.insert(buckets.end(), durations.begin(), durations.end());
  return buckets;
}

Buckets PowersOfTwo(double last) {
  Buckets buckets;
  for (double edge = 1; edge <= last; edge *= 2) buckets.push_back(edge);
  return buckets;
}

}  // namespace

absl::string_view RejectReasonName(RejectReason reason) {
  static constexpr absl::string_view kNames[] = {"queue_full", "deadline", "cancelled",
                                                 "invalid",    "too_long", "unknown_model",
                                                 "wrong_task", "draining", "unauthenticated"};
  static_assert(std::size(kNames) == kNumRejectReasons);
  return kNames[static_cast<size_t>(reason)];
}

absl::string_view SpanResultName(SpanResult result) {
  static constexpr absl::string_view kNames[] = {"exported", "dropped", "failed"};
  static_assert(std::size(kNames) == kNumSpanResults);
  return kNames[static_cast<size_t>(result)];
}

// The declaration of all metrics; long because it is a list.
Metrics::Metrics(MetricsOptions options)
    : methods_(std::move(options.methods)),
      request_duration_(registry_.Histograms({"octet_request_duration_seconds",
                                              "seconds",
                                              "Time from a call's arrival to its answer, by outcome.",
                                              {"method", "model", "code"}},
                                             options.duration_buckets)),
      phase_durations_{
          registry_.Histograms(
              {"octet_tokenize_duration_seconds", "seconds", "Time of tokenizing a call's texts.", {"method", "model"}},
              PhaseBuckets(options.duration_buckets)),
          registry_.Histograms({"octet_queue_duration_seconds",
                                "seconds",
                                "Time a call waited, for a tokenizer and for a worker.",
                                {"method", "model"}},
                               PhaseBuckets(options.duration_buckets)),
          registry_.Histograms({"octet_inference_duration_seconds",
                                "seconds",
                                "Time of the forward pass that a call was part of.",
                                {"method", "model"}},
                               PhaseBuckets(options.duration_buckets))},
      batch_tokens_(registry_.Histograms({"octet_batch_tokens", "tokens", "Tokens of a forward pass.", {"model"}},
                                         PowersOfTwo(65536))),
      batch_size_(registry_.Histograms({"octet_batch_size", "texts", "Texts of a forward pass.", {"model"}},
                                       PowersOfTwo(1024))),
      process_(&registry_, std::move(options.container_limits), options.num_threads),
      calls_(new std::atomic<prometheus::Histogram*>[(kMaxMethods + 1) * (kMaxModels + 1) * kNumCodes]()),
      phases_(new std::atomic<prometheus::Histogram*>[(kMaxMethods + 1) * (kMaxModels + 1) * kNumPhases]()) {
  OCTET_CHECK(methods_.size() <= kMaxMethods);
  methods_.insert(methods_.begin(), kUnknown);
  DeclareModels();
  DeclareCalls();
  DeclareQueue();
  registry_
      .Gauges({"octet_build_info",
               "",
               "1; the labels describe this build and its instruction set.",
               {"version", "commit", "isa"}})
      ->Add({{"version", options.version}, {"commit", options.commit}, {"isa", options.isa}})
      .Set(1);
  ready_ = registry_.Gauge({"octet_ready", "", "1 while calls are welcome, as /readyz says."});

  MakeModel(0, kUnknown);
  model_count_.store(1, std::memory_order_release);
}

void Metrics::DeclareModels() {
  const std::vector<std::string> by_model = {"model"};
  texts_ = registry_.Counters({"octet_texts_total", "texts", "Texts answered.", by_model});
  tokens_ =
      registry_.Counters({"octet_tokens_total", "tokens", "Tokens of the texts answered, after truncation.", by_model});
  truncated_ = registry_.Counters(
      {"octet_truncated_total", "texts", "Texts cut to the model's limit at the caller's wish.", by_model});
  non_finite_ = registry_.Counters({"octet_non_finite_outputs_total", "texts",
                                    "Texts for which the model gave NaN or infinity; their calls failed.", by_model});
  model_info_ = registry_.Gauges({"octet_model_info",
                                  "",
                                  "1 for each loaded model; the labels describe it.",
                                  {"model", "version", "precision", "quantization", "isa"}});
  model_loaded_ = registry_.Gauges({"octet_model_loaded", "", "1 when the model is loaded, 0 before.", by_model});
  model_load_seconds_ =
      registry_.Gauges({"octet_model_load_seconds", "seconds", "Time that loading the model took.", by_model});
}

void Metrics::DeclareCalls() {
  auto* started = registry_.Counters(
      {"octet_calls_started_total", "calls", "Calls that arrived, whatever became of them.", {"method"}});
  for (const std::string& method : methods_) started_.push_back(&started->Add({{"method", method}}));
  auto* rejected =
      registry_.Counters({"octet_rejected_total", "calls", "Calls turned away before compute, by reason.", {"reason"}});
  for (size_t i = 0; i < kNumRejectReasons; ++i) {
    const absl::string_view name = RejectReasonName(static_cast<RejectReason>(i));
    rejected_[i] = &rejected->Add({{"reason", std::string(name.data(), name.size())}});
  }
  auto* spans = registry_.Counters(
      {"octet_trace_spans_total", "spans", "Spans of sampled calls, by what became of them.", {"result"}});
  for (size_t i = 0; i < kNumSpanResults; ++i) {
    const absl::string_view name = SpanResultName(static_cast<SpanResult>(i));
    spans_[i] = &spans->Add({{"result", std::string(name.data(), name.size())}});
  }
  inflight_ = registry_.Gauge({"octet_inflight_requests", "calls", "Calls that have arrived and are not answered."});
  expired_in_queue = registry_.Counter(
      {"octet_expired_in_queue_total", "calls", "Calls dropped because their deadline passed before compute."});
  cancelled_in_queue =
      registry_.Counter({"octet_cancelled_total", "calls", "Calls dropped because their client left before compute."});
  computed_after_expiry = registry_.Counter(
      {"octet_computed_after_expiry_total", "texts", "Texts computed although their deadline had passed; stays 0."});
  worker_faults = registry_.Counter({"octet_worker_faults_total", "batches", "Batches lost to a fault of the server."});
  cpu_rests = registry_.Counter({"octet_cpu_rest_seconds_total", "seconds",
                                 "Time that compute threads rested so that the CPU quota is not overdrawn; grows when "
                                 "the quota is too small for the load."});
}

void Metrics::DeclareQueue() {
  queue_texts_ = registry_.Gauge({"octet_queue_depth", "texts", "Texts waiting for a worker."});
  queue_tokens_ = registry_.Gauge({"octet_queue_tokens", "tokens", "Tokens waiting for a worker."});
  queue_pending_bytes_ =
      registry_.Gauge({"octet_queue_pending_bytes", "bytes", "Bytes of texts admitted but not tokenized yet."});
  queue_oldest_age_ = registry_.Gauge(
      {"octet_queue_oldest_age_seconds", "seconds", "Age of the text that has waited longest for a worker."});
  queue_texts_limit_ =
      registry_.Gauge({"octet_queue_depth_limit", "texts", "Where octet_queue_depth is full and calls are refused."});
  queue_tokens_limit_ = registry_.Gauge(
      {"octet_queue_tokens_limit", "tokens", "Where octet_queue_tokens is full and calls are refused."});
  queue_pending_bytes_limit_ = registry_.Gauge(
      {"octet_queue_pending_limit_bytes", "bytes", "Where octet_queue_pending_bytes is full and calls are refused."});
  batch_tokens_limit_ =
      registry_.Gauge({"octet_batch_tokens_limit", "tokens", "The most tokens that a forward pass may have."});
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
  model.batch_tokens = batch_tokens_.Add(labels);
  model.batch_texts = batch_size_.Add(labels);
  // A model of which every call fails has a series of success, so that its share of failures is no division by nothing.
  CallHistogram(0, idx, kOk);
}

void Metrics::RegisterModel(const ModelLabels& labels) {
  MutexLock lock(&register_mu_);
  const prometheus::Labels model = {{"model", labels.name}};
  model_loaded_->Add(model).Set(1);  // also beyond the table: ExpectModel has said 0
  const size_t count = model_count_.load(std::memory_order_relaxed);
  if (ModelIdx(labels.name) != 0 || labels.name == kUnknown || count > kMaxModels) return;
  MakeModel(count, labels.name);
  model_info_
      ->Add({{"model", labels.name},
             {"version", labels.version},
             {"precision", labels.precision},
             {"quantization", labels.quantization},
             {"isa", labels.isa}})
      .Set(1);
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
    histogram = request_duration_.Add({{"method", methods_[method]},
                                       {"model", models_[model].name},
                                       {"code", std::string(kCodeNames[code].data(), kCodeNames[code].size())}});
    slot.store(histogram, std::memory_order_release);
  }
  return histogram;
}

prometheus::Histogram* Metrics::PhaseHistogram(size_t method, size_t model, size_t phase) {
  auto& slot = phases_[(method * (kMaxModels + 1) + model) * kNumPhases + phase];
  prometheus::Histogram* histogram = slot.load(std::memory_order_acquire);
  if (histogram == nullptr) {  // as above
    histogram = phase_durations_[phase].Add({{"method", methods_[method]}, {"model", models_[model].name}});
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

void Metrics::RecordPhases(absl::string_view method, absl::string_view model, const PhaseTimes& times) {
  const size_t method_idx = MethodIdx(method), model_idx = ModelIdx(model);
  const std::array<absl::Duration, kNumPhases> durations = {times.tokenize, times.queue, times.inference};
  for (size_t phase = 0; phase < kNumPhases; ++phase) {
    PhaseHistogram(method_idx, model_idx, phase)->Observe(absl::ToDoubleSeconds(durations[phase]));
  }
}

void Metrics::SetQueueLimits(const QueueLimits& limits) {
  queue_texts_limit_->Set(static_cast<double>(limits.texts));
  queue_tokens_limit_->Set(static_cast<double>(limits.tokens));
  queue_pending_bytes_limit_->Set(static_cast<double>(limits.pending_bytes));
  batch_tokens_limit_->Set(static_cast<double>(limits.batch_tokens));
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
  process_.Refresh();
}

std::vector<prometheus::MetricFamily> Metrics::Collect() const {
  RefreshGauges();
  return registry_.Collect();
}

std::string Metrics::Render() const { return prometheus::TextSerializer().Serialize(Collect()); }

}  // namespace octet::serving
