#include "server/tracing/call_record.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "server/tracing/otlp_encoding.h"

namespace octet::tracing {
namespace {

using ::testing::ElementsAre;

constexpr TraceContext kCall = {{0x0102030405060708, 0x090a0b0c0d0e0f10}, 0x1112131415161718, true};
const absl::Time kStart = absl::FromUnixSeconds(1'700'000'000);

MonotonicTime At(int64_t us) { return absl::Seconds(50) + absl::Microseconds(us); }

CallRecord Record() {
  CallRecord record;
  record.span = {.context = kCall, .trace_state = "a=b", .start = kStart, .begin = At(0)};
  record.method = "octet.v1.TextEncoder/Embed";
  record.model = "mini";
  record.code = "OK";
  record.end = At(900);
  record.phases.num_texts = 2;
  record.phases.num_tokens = 9;
  record.phases.tokenize = serving::TokenizePhase{.begin = At(10), .end = At(60)};
  const auto members = std::make_shared<std::vector<TraceContext>>();
  members->push_back(kCall);
  members->push_back({{7, 7}, 8, true});
  record.phases.batches.push_back({.begin = At(100),
                                   .compute_begin = At(110),
                                   .compute_end = At(800),
                                   .end = At(850),
                                   .num_calls = 5,
                                   .num_texts = 6,
                                   .num_tokens = 40,
                                   .members = members,
                                   .num_members = 4});
  record.phases.num_batches = 1;
  return record;
}

std::vector<Span> SpansOf(const CallRecord& record, const ServerAddress& address) {
  std::vector<Span> spans;
  AppendSpans(record, address, &spans);
  EXPECT_EQ(spans.size(), NumSpans(record));
  return spans;
}

std::string Text(const Span& span, absl::string_view key) {
  for (const Attribute& attribute : span.attributes) {
    if (attribute.key != key) continue;
    if (const auto* number = std::get_if<int64_t>(&attribute.value)) return std::to_string(*number);
    return std::string(std::get<absl::string_view>(attribute.value));
  }
  return "(absent)";
}

std::vector<std::string> Names(const std::vector<Span>& spans) {
  std::vector<std::string> names;
  for (const Span& span : spans) names.emplace_back(span.name);
  return names;
}

TEST(CallRecordTest, MakesAServerSpanWithItsPhases) {
  const CallRecord record = Record();
  const ServerAddress address = {"10.0.0.1", 50051};
  const auto spans = SpansOf(record, address);
  ASSERT_THAT(Names(spans), ElementsAre("octet.v1.TextEncoder/Embed", "tokenize", "queue", "batch", "compute"));
  const Span& call = spans[0];
  EXPECT_EQ(call.context, kCall);
  EXPECT_EQ(call.kind, SpanKind::kServer);
  EXPECT_EQ(call.start, kStart);
  EXPECT_EQ(call.end, kStart + absl::Microseconds(900));
  EXPECT_FALSE(call.is_error);
  EXPECT_EQ(Text(call, "rpc.system.name"), "grpc");
  EXPECT_EQ(Text(call, "rpc.method"), "octet.v1.TextEncoder/Embed");
  EXPECT_EQ(Text(call, "rpc.response.status_code"), "OK");
  EXPECT_EQ(Text(call, "server.address"), "10.0.0.1");
  EXPECT_EQ(Text(call, "server.port"), "50051");
  EXPECT_EQ(Text(call, "octet.model"), "mini");
  EXPECT_EQ(Text(call, "octet.texts"), "2");
  EXPECT_EQ(Text(call, "octet.tokens"), "9");
  EXPECT_EQ(Text(call, "error.type"), "(absent)");
  const int64_t times[][2] = {{0, 900}, {10, 60}, {60, 100}, {100, 850}, {110, 800}};
  for (size_t i = 1; i < spans.size(); ++i) {
    EXPECT_EQ(spans[i].context.trace_id, kCall.trace_id);
    EXPECT_EQ(spans[i].parent_span_id, kCall.span_id);
    EXPECT_NE(spans[i].context.span_id, kCall.span_id);
    EXPECT_FALSE(spans[i].is_parent_remote);
    EXPECT_EQ(spans[i].start, kStart + absl::Microseconds(times[i][0])) << i;
    EXPECT_EQ(spans[i].end, kStart + absl::Microseconds(times[i][1])) << i;
  }
  EXPECT_EQ(Text(spans[3], "octet.batch.calls"), "5");
  EXPECT_EQ(Text(spans[3], "octet.batch.texts"), "6");
  EXPECT_EQ(Text(spans[3], "octet.batch.tokens"), "40");
  EXPECT_THAT(spans[3].links, ElementsAre(kCall, TraceContext{{7, 7}, 8, true}));
  EXPECT_EQ(spans[3].num_dropped_links, 2u);
}

TEST(CallRecordTest, ACallThatFailedBeforeComputeHasThePhasesItCameTo) {
  CallRecord record = Record();
  record.phases.batches.clear();
  record.code = "DEADLINE_EXCEEDED";
  record.reason = "DEADLINE";
  auto spans = SpansOf(record, {});
  ASSERT_THAT(Names(spans), ElementsAre("octet.v1.TextEncoder/Embed", "tokenize", "queue"));
  EXPECT_EQ(spans[2].end, kStart + absl::Microseconds(900));  // it waited to the end
  EXPECT_TRUE(spans[0].is_error);
  EXPECT_EQ(Text(spans[0], "error.type"), "DEADLINE_EXCEEDED");
  EXPECT_EQ(Text(spans[0], "octet.reason"), "DEADLINE");
  record.phases.tokenize->failed = true;
  record.code = "INVALID_ARGUMENT";
  spans = SpansOf(record, {});
  EXPECT_THAT(Names(spans), ElementsAre("octet.v1.TextEncoder/Embed", "tokenize"));
  EXPECT_FALSE(spans[0].is_error);  // its client's
  record.phases.tokenize.reset();
  EXPECT_THAT(Names(SpansOf(record, {})), ElementsAre("octet.v1.TextEncoder/Embed"));
}

TEST(CallRecordTest, AStreamsMessageIsASpanInside) {
  CallRecord record = Record();
  record.message = 3;
  record.code = "";
  record.span.parent_span_id = 99;
  const auto spans = SpansOf(record, {});
  EXPECT_EQ(spans[0].name, "message");
  EXPECT_EQ(spans[0].kind, SpanKind::kInternal);
  EXPECT_EQ(spans[0].parent_span_id, 99u);
  EXPECT_EQ(Text(spans[0], "octet.message"), "3");
  EXPECT_EQ(Text(spans[0], "rpc.method"), "(absent)");
}

TEST(OtlpEncodingTest, WritesIdentifiersInWireOrderAndFlags) {
  CallRecord record = Record();
  record.span.parent_span_id = 0x2122232425262728;
  record.span.is_parent_remote = true;
  const auto spans = SpansOf(record, {});
  opentelemetry::proto::collector::trace::v1::ExportTraceServiceRequest request;
  EncodeSpans({{"service.name", "octet"}}, "1.2.3", spans, &request);
  ASSERT_EQ(request.resource_spans_size(), 1);
  EXPECT_EQ(request.resource_spans(0).resource().attributes(0).value().string_value(), "octet");
  EXPECT_EQ(request.resource_spans(0).scope_spans(0).scope().version(), "1.2.3");
  ASSERT_EQ(request.resource_spans(0).scope_spans(0).spans_size(), 5);
  const auto& call = request.resource_spans(0).scope_spans(0).spans(0);
  EXPECT_EQ(call.trace_id(), "\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10");
  EXPECT_EQ(call.span_id(), "\x11\x12\x13\x14\x15\x16\x17\x18");
  EXPECT_EQ(call.parent_span_id(), "\x21\x22\x23\x24\x25\x26\x27\x28");
  EXPECT_EQ(call.trace_state(), "a=b");
  EXPECT_EQ(call.flags(), 0x301u);
  EXPECT_EQ(call.start_time_unix_nano(), 1'700'000'000'000'000'000u);
  EXPECT_EQ(call.status().code(), opentelemetry::proto::trace::v1::Status::STATUS_CODE_UNSET);
  const auto& batch = request.resource_spans(0).scope_spans(0).spans(3);
  EXPECT_EQ(batch.flags(), 0x101u);
  EXPECT_EQ(batch.parent_span_id(), call.span_id());
  ASSERT_EQ(batch.links_size(), 2);
  EXPECT_EQ(batch.links(0).span_id(), call.span_id());
  EXPECT_EQ(batch.dropped_links_count(), 2u);
}

}  // namespace
}  // namespace octet::tracing
