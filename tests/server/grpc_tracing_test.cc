// What the transport and the pipeline make of a call's trace, over a real connection, with an exporter that keeps the
// spans; and what the log's observer is told.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/time/clock.h"
#include "server/tracing/span_processor.h"
#include "server/tracing/tracer.h"
#include "tests/server/request_bytes.h"
#include "tests/server/server_harness.h"

namespace octet::rpc {
namespace {

using ::testing::ElementsAre;
using ::testing::UnorderedElementsAre;
using tracing::SpanKind;

constexpr char kEmbed[] = "octet.v1.TextEncoder/Embed";
constexpr char kTraceId[] = "4bf92f3577b34da6a3ce929d0e0e4736";

std::string EmbedBytes(const std::vector<std::string>& texts, const std::string& model = "") {
  v1::EmbedRequest request = Texts(texts);
  request.set_model(model);
  return request.SerializeAsString();
}

std::string StreamBytes(uint64_t id, const std::string& text) {
  v1::EmbedStreamRequest message;
  message.set_id(id);
  *message.mutable_request() = Texts({text});
  return message.SerializeAsString();
}

// A span that owns what it says.
struct KeptSpan {
  std::string name, trace_id, trace_state;
  TraceContext context;
  uint64_t parent = 0;
  bool is_parent_remote = false;
  SpanKind kind = SpanKind::kInternal;
  absl::Time start, end;
  std::map<std::string, std::string> attributes;
  std::vector<TraceContext> links;
};

class KeepingExporter final : public tracing::SpanExporter {
 public:
  explicit KeepingExporter(std::vector<KeptSpan>* kept) : kept_(kept) {}

  tracing::ExportResult Export(std::span<const tracing::Span> spans, absl::Duration) override {
    for (const tracing::Span& span : spans) {
      KeptSpan kept = {.name = std::string(span.name),
                       .trace_id = TraceIdHex(span.context.trace_id),
                       .trace_state = std::string(span.trace_state),
                       .context = span.context,
                       .parent = span.parent_span_id,
                       .is_parent_remote = span.is_parent_remote,
                       .kind = span.kind,
                       .start = span.start,
                       .end = span.end,
                       .attributes = {},
                       .links = {span.links.begin(), span.links.end()}};
      for (const tracing::Attribute& attribute : span.attributes) {
        const auto* number = std::get_if<int64_t>(&attribute.value);
        kept.attributes[std::string(attribute.key)] =
            number != nullptr ? std::to_string(*number) : std::string(std::get<absl::string_view>(attribute.value));
      }
      kept_->push_back(std::move(kept));
    }
    return {};
  }
  void Cancel() override {}

 private:
  std::vector<KeptSpan>* const kept_;  // read once the processor has stopped
};

class RecordingObserver final : public CallObserver {
 public:
  bool WantsPhases() const override { return wants_phases; }
  bool Wants(CallKind kind, absl::string_view, absl::Duration) override { return kind != CallKind::kStream; }
  void OnCallEnd(const CallOutcome& outcome) override {
    MutexLock lock(&mu_);
    outcomes_.push_back(outcome);
  }
  std::vector<CallOutcome> outcomes() {
    MutexLock lock(&mu_);
    return outcomes_;
  }
  bool wants_phases = false;

 private:
  Mutex mu_;
  std::vector<CallOutcome> outcomes_ ABSL_GUARDED_BY(mu_);
};

class GrpcTracingTest : public ServerHarness {
 protected:
  void StartTracing(const std::string& sampler, double ratio = 1) {
    processor_ = std::make_unique<tracing::SpanProcessor>(
        tracing::ProcessorOptions{.max_queue_spans = 4096, .export_interval = absl::Hours(1)},
        std::make_unique<KeepingExporter>(&spans_), metrics_.get(), "collector");
    tracer_ = std::make_unique<tracing::Tracer>(*tracing::Sampler::FromName(sampler, ratio), processor_.get());
    rpc_options_.watchers.tracer = tracer_.get();
    Start();
  }

  // A unary call with these headers.
  grpc::Status Unary(const std::string& bytes, const std::vector<std::pair<std::string, std::string>>& headers) {
    grpc::ClientContext context;
    for (const auto& [name, value] : headers) context.AddMetadata(name, value);
    grpc::CompletionQueue queue;
    grpc::ByteBuffer response;
    grpc::Status status;
    grpc::GenericStub stub(channel_);
    const auto reader = stub.PrepareUnaryCall(&context, absl::StrCat("/", kEmbed), ToBuffer(bytes), &queue);
    reader->StartCall();
    reader->Finish(&response, &status, nullptr);
    void* tag;
    bool ok;
    EXPECT_TRUE(queue.Next(&tag, &ok));
    return status;
  }

  // All spans, once every call has ended.
  const std::vector<KeptSpan>& Spans() {
    channel_ = nullptr;
    server_->Shutdown(absl::InfiniteDuration());
    processor_->Stop(absl::InfiniteDuration());
    return spans_;
  }
  std::vector<std::string> Names() {
    std::vector<std::string> names;
    for (const KeptSpan& span : Spans()) names.push_back(span.name);
    return names;
  }

  void TearDown() override {
    ServerHarness::TearDown();
    tracer_ = nullptr;
    processor_ = nullptr;
  }

  std::vector<KeptSpan> spans_;
  std::unique_ptr<tracing::SpanProcessor> processor_;
  std::unique_ptr<tracing::Tracer> tracer_;
  RecordingObserver observer_;
};

TEST_F(GrpcTracingTest, ACallOfASampledCallerHasAllItsPhases) {
  StartTracing("parentbased_always_off");
  ASSERT_TRUE(
      Unary(EmbedBytes({"one", "three"}), {{"traceparent", absl::StrCat("00-", kTraceId, "-00f067aa0ba902b7-01")},
                                           {"tracestate", "rojo=1"},
                                           {"tracestate", "congo=2"}})
          .ok());
  ASSERT_THAT(Names(), ElementsAre(kEmbed, "tokenize", "queue", "batch", "compute"));
  const KeptSpan& call = spans_[0];
  EXPECT_EQ(call.trace_id, kTraceId);
  EXPECT_EQ(call.parent, 0x00f067aa0ba902b7u);
  EXPECT_TRUE(call.is_parent_remote);
  EXPECT_EQ(call.kind, SpanKind::kServer);
  EXPECT_THAT(call.trace_state, ::testing::AnyOf("rojo=1,congo=2", "congo=2,rojo=1"));
  EXPECT_EQ(call.attributes.at("rpc.response.status_code"), "OK");
  EXPECT_EQ(call.attributes.at("octet.model"), "mini");
  EXPECT_EQ(call.attributes.at("octet.texts"), "2");
  EXPECT_EQ(call.attributes.at("octet.tokens"), "8");
  EXPECT_EQ(call.attributes.at("server.address"), "127.0.0.1");
  EXPECT_EQ(call.attributes.at("server.port"), std::to_string(server_->port()));
  EXPECT_LT(absl::AbsDuration(absl::Now() - call.start), absl::Hours(1));
  for (size_t i = 1; i < spans_.size(); ++i) {
    EXPECT_EQ(spans_[i].parent, call.context.span_id);
    EXPECT_GE(spans_[i].start, call.start);
    EXPECT_LE(spans_[i].start, spans_[i].end);
    EXPECT_LE(spans_[i].end, call.end);
  }
  EXPECT_EQ(spans_[1].end, spans_[2].start);  // tokenized, then waiting
  EXPECT_EQ(spans_[2].end, spans_[3].start);
  EXPECT_THAT(spans_[3].links, ElementsAre(call.context));
}

TEST_F(GrpcTracingTest, CallersThatDoNotSampleAndBrokenHeadersAreLeftOut) {
  StartTracing("parentbased_always_off");
  ASSERT_TRUE(Unary(EmbedBytes({"a"}), {{"traceparent", absl::StrCat("00-", kTraceId, "-00f067aa0ba902b7-00")}}).ok());
  ASSERT_TRUE(Unary(EmbedBytes({"b"}), {{"traceparent", absl::StrCat("00-", kTraceId, "-00f067aa0ba902b7-01x")}}).ok());
  ASSERT_TRUE(Unary(EmbedBytes({"c"}), {}).ok());
  EXPECT_THAT(Spans(), ElementsAre());
}

TEST_F(GrpcTracingTest, ABrokenOrDoubleHeaderBeginsANewTrace) {
  StartTracing("parentbased_always_on");
  const std::string good = absl::StrCat("00-", kTraceId, "-00f067aa0ba902b7-01");
  for (const std::string& bad : {std::string("00-") + kTraceId, good + "-", std::string("secret")}) {
    ASSERT_TRUE(Unary(EmbedBytes({"a"}), {{"traceparent", bad}, {"tracestate", "rojo=1"}}).ok());
  }
  ASSERT_TRUE(Unary(EmbedBytes({"a"}), {{"traceparent", good}, {"traceparent", good}}).ok());
  std::set<std::string> traces;
  for (const KeptSpan& span : Spans()) {
    traces.insert(span.trace_id);
    EXPECT_EQ(span.trace_state, "");
    EXPECT_TRUE(span.kind != SpanKind::kServer || span.parent == 0u);
  }
  EXPECT_EQ(traces.size(), 4u);
  EXPECT_EQ(traces.count(kTraceId), 0u);
}

TEST_F(GrpcTracingTest, ARefusedCallIsOneSpanWithItsReason) {
  StartTracing("always_on");
  EXPECT_FALSE(Unary("not a message", {}).ok());
  EXPECT_EQ(Unary(EmbedBytes({"a"}, "nobody"), {}).error_code(), grpc::StatusCode::NOT_FOUND);
  ASSERT_THAT(Names(), ElementsAre(kEmbed, kEmbed));
  EXPECT_EQ(spans_[0].attributes.at("rpc.response.status_code"), "INVALID_ARGUMENT");
  EXPECT_EQ(spans_[1].attributes.at("octet.reason"), "UNKNOWN_MODEL");
  EXPECT_EQ(spans_[1].attributes.at("octet.model"), "unknown");  // not what the client made up
}

// Two calls that wait while a third is computed share the next batch; each has it in its own trace, linked to both.
TEST_F(GrpcTracingTest, CallsOfOneBatchAreLinkedToEachOther) {
  StartTracing("always_on");
  std::vector<std::thread> threads;
  threads.emplace_back([this] { EXPECT_TRUE(Unary(EmbedBytes({"Gate"}), {}).ok()); });
  gate_.WaitForArrivals(1);
  for (const char* text : {"b", "cc"}) {
    threads.emplace_back([this, text] { EXPECT_TRUE(Unary(EmbedBytes({text}), {}).ok()); });
  }
  WaitUntil([this] { return metrics_->Render().find("octet_queue_depth 2") != std::string::npos; });
  gate_.Open();
  for (std::thread& thread : threads) thread.join();
  std::set<uint64_t> members;
  std::vector<KeptSpan> shared;
  for (const KeptSpan& span : Spans()) {
    if (span.name == "batch" && span.attributes.at("octet.batch.calls") == "2") shared.push_back(span);
  }
  ASSERT_EQ(shared.size(), 2u);
  EXPECT_NE(shared[0].trace_id, shared[1].trace_id);
  for (const KeptSpan& batch : shared) {
    EXPECT_EQ(batch.attributes.at("octet.batch.tokens"), "3");
    ASSERT_EQ(batch.links.size(), 2u);
    EXPECT_THAT((std::vector<uint64_t>{batch.links[0].span_id, batch.links[1].span_id}),
                UnorderedElementsAre(shared[0].parent, shared[1].parent));
  }
}

TEST_F(GrpcTracingTest, EachMessageOfAStreamIsASpanWithPhases) {
  StartTracing("always_on");
  {
    RawStream stream(channel_, "octet.v1.TextEncoder/EmbedStream");
    std::string answer;
    for (const uint64_t id : {7, 8}) {
      ASSERT_TRUE(stream.Write(StreamBytes(id, "a")));
      ASSERT_TRUE(stream.Read(&answer));
    }
    ASSERT_TRUE(stream.WritesDone());
    EXPECT_FALSE(stream.Read(&answer));
    EXPECT_TRUE(stream.Finish().ok());
  }
  ASSERT_THAT(Names(), ElementsAre("message", "tokenize", "queue", "batch", "compute", "message", "tokenize", "queue",
                                   "batch", "compute", "octet.v1.TextEncoder/EmbedStream"));
  const KeptSpan& stream = spans_.back();
  for (const size_t i : {0, 5}) {
    EXPECT_EQ(spans_[i].parent, stream.context.span_id);
    EXPECT_EQ(spans_[i].trace_id, stream.trace_id);
    EXPECT_EQ(spans_[i].attributes.at("octet.message"), i == 0 ? "1" : "2");
    EXPECT_EQ(spans_[i + 4].parent, spans_[i].context.span_id);
  }
}

TEST_F(GrpcTracingTest, TheLogGetsTheCallersTraceWithoutATracerToo) {
  observer_.wants_phases = true;
  rpc_options_.watchers.observers[0] = &observer_;
  Start();
  ASSERT_TRUE(
      Unary(EmbedBytes({"abc"}), {{"traceparent", absl::StrCat("00-", kTraceId, "-00f067aa0ba902b7-00")}}).ok());
  EXPECT_FALSE(Unary("not a message", {{"traceparent", "secret"}}).ok());
  const auto outcomes = observer_.outcomes();
  ASSERT_EQ(outcomes.size(), 2u);
  EXPECT_EQ(TraceIdHex(outcomes[0].trace->trace_id), kTraceId);
  EXPECT_EQ(outcomes[0].phases->num_tokens, 3u);
  EXPECT_EQ(outcomes[0].phases->batches.size(), 1u);
  EXPECT_FALSE(outcomes[1].trace.has_value());
  EXPECT_EQ(outcomes[1].code, "INVALID_ARGUMENT");
}

}  // namespace
}  // namespace octet::rpc
