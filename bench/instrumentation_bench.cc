// What watching costs one call of CPU time: metrics alone; tracing when it is off, on but not sampled, and sampled; and
// what the exporter's thread does for a sampled call (making spans and encoding them; not the network). The calls of
// metrics and tracing are those that transport and pipeline make for one text; nothing is tokenized or computed.
#include <benchmark/benchmark.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "base/clock.h"
#include "google/protobuf/arena.h"
#include "grpcpp/server_context.h"
#include "grpcpp/test/server_context_test_spouse.h"
#include "server/cli/call_log.h"
#include "server/rpc/call_watch.h"
#include "server/status/recent_errors.h"
#include "server/tracing/otlp_encoding.h"
#include "server/tracing/span_processor.h"
#include "server/tracing/tracer.h"
#include "serving/call_trace.h"
#include "serving/metrics.h"

namespace octet {
namespace {

constexpr char kMethod[] = "octet.v1.TextEncoder/Embed";
constexpr char kModel[] = "all-MiniLM-L6-v2";
constexpr char kTraceparent[] = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

class DiscardingExporter final : public tracing::SpanExporter {
 public:
  tracing::ExportResult Export(std::span<const tracing::Span>, absl::Duration) override { return {}; }
  void Cancel() override {}
};

// A context with the headers of a traced caller.
class Caller {
 public:
  Caller() : spouse_(&context_) { spouse_.AddClientMetadata("traceparent", kTraceparent); }
  const grpc::ServerContext& context() const { return context_; }

 private:
  grpc::ServerContext context_;
  grpc::testing::ServerContextTestSpouse spouse_;
};

// Those of `octet serve`; they have no interest in calls that go well.
class Observers {
 public:
  rpc::CallWatchers Watchers(const tracing::Tracer* tracer) {
    return {.tracer = tracer, .observers = {&errors_, &log_}};
  }

 private:
  status::RecentErrors errors_;
  cli::CallLog log_{{.slow_call = absl::ZeroDuration()}, &SteadyClock::Get()};
};

void CountCall(serving::Metrics* metrics, absl::Duration duration) {
  metrics->StartCall(kMethod);
  serving::ModelMetrics* const model = metrics->ForModel(kModel);
  model->texts->Increment(1);
  model->tokens->Increment(20);
  model->batch_tokens->Observe(20);
  model->batch_texts->Observe(1);
  metrics->RecordPhases(
      kMethod, kModel,
      {.tokenize = absl::Microseconds(20), .queue = absl::Microseconds(1), .inference = absl::Milliseconds(1)});
  metrics->RecordCall(kMethod, kModel, "OK", duration);
}

std::unique_ptr<serving::Metrics> MakeMetrics() {
  serving::MetricsOptions options;
  options.methods = {kMethod};
  auto metrics = std::make_unique<serving::Metrics>(options);
  metrics->RegisterModel(
      {.name = kModel, .version = "0", .precision = "int8", .isa = "avx2", .load_time = absl::Seconds(1)});
  return metrics;
}

void BM_Metrics(benchmark::State& state) {
  const auto metrics = MakeMetrics();
  for (auto _ : state) CountCall(metrics.get(), absl::Milliseconds(1));
}
BENCHMARK(BM_Metrics);

// What the worker and the pipeline note about a call.
void NotePhases(serving::CallTrace* trace, MonotonicTime begin) {
  if (trace == nullptr) return;
  trace->SetNumTexts(1);
  trace->SetTokenized({.begin = begin, .end = begin + absl::Microseconds(20)});
  trace->SetNumTokens(20);
  auto members = std::make_shared<std::vector<TraceContext>>(1, trace->context());
  trace->AddBatch({.begin = begin + absl::Microseconds(21),
                   .compute_begin = begin + absl::Microseconds(22),
                   .compute_end = begin + absl::Microseconds(1000),
                   .end = SteadyClock::Get().Now(),
                   .num_calls = 1,
                   .num_texts = 1,
                   .num_tokens = 20,
                   .members = std::move(members),
                   .num_members = 1});
}

void WatchCall(const rpc::CallWatchers& watchers, const grpc::ServerContext& context, MonotonicTime now) {
  rpc::CallWatch watch(watchers);
  watch.Begin(rpc::CallKind::kCall, context, now);
  NotePhases(watch.trace().get(), now);
  const absl::Status status;
  watch.End({kMethod, kModel, "OK", status, now + absl::Milliseconds(1)}, context);
  benchmark::ClobberMemory();
}

// `octet serve` without settings.
void BM_TracingOff(benchmark::State& state) {
  const Caller caller;
  Observers observers;
  const MonotonicTime now = SteadyClock::Get().Now();
  for (auto _ : state) WatchCall(observers.Watchers(nullptr), caller.context(), now);
}
BENCHMARK(BM_TracingOff);

// The calling threads' share; the exporter's thread takes what they queue and throws it away.
void RunTraced(benchmark::State& state, const char* sampler, bool with_metrics) {
  const Caller caller;
  const auto metrics = MakeMetrics();
  Observers observers;
  tracing::SpanProcessor processor({.max_queue_spans = 1 << 20}, std::make_unique<DiscardingExporter>(), metrics.get(),
                                   "none");
  const tracing::Tracer tracer(*tracing::Sampler::FromName(sampler, 1), &processor);
  const MonotonicTime now = SteadyClock::Get().Now();
  for (auto _ : state) {
    if (with_metrics) CountCall(metrics.get(), absl::Milliseconds(1));
    WatchCall(observers.Watchers(&tracer), caller.context(), now);
  }
  processor.Stop(absl::InfiniteDuration());
  state.counters["dropped"] = metrics->Spans(serving::SpanResult::kDropped);
}
void BM_NotSampled(benchmark::State& state) { RunTraced(state, "always_off", false); }
BENCHMARK(BM_NotSampled);
void BM_Sampled(benchmark::State& state) { RunTraced(state, "always_on", false); }
BENCHMARK(BM_Sampled);
void BM_MetricsAndSampled(benchmark::State& state) { RunTraced(state, "always_on", true); }
BENCHMARK(BM_MetricsAndSampled);

// The exporter's share of one call: 5 spans, in batches of 100 calls.
void BM_ExportOfOneCall(benchmark::State& state) {
  constexpr int kCalls = 100;
  serving::CallTrace trace({{1, 2}, 3, true});
  NotePhases(&trace, absl::ZeroDuration());
  tracing::CallRecord record = {.span = {.context = trace.context(), .start = absl::FromUnixSeconds(1'700'000'000)},
                                .method = kMethod,
                                .model = kModel,
                                .code = "OK",
                                .end = absl::Milliseconds(1),
                                .phases = trace.phases()};
  std::vector<tracing::Span> spans;
  while (state.KeepRunningBatch(kCalls)) {
    spans.clear();
    for (int i = 0; i < kCalls; ++i) tracing::AppendSpans(record, {"10.0.0.1", 50051}, &spans);
    google::protobuf::Arena arena;
    auto* const request =
        google::protobuf::Arena::CreateMessage<opentelemetry::proto::collector::trace::v1::ExportTraceServiceRequest>(
            &arena);
    tracing::EncodeSpans({{"service.name", "octet"}}, "0.1.0", spans, request);
    const std::string bytes = request->SerializeAsString();
    benchmark::DoNotOptimize(bytes.data());
  }
}
BENCHMARK(BM_ExportOfOneCall);

}  // namespace
}  // namespace octet

BENCHMARK_MAIN();
