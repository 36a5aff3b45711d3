#include "server/status/status_page.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "absl/strings/str_cat.h"

namespace octet::status {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr char kEmbed[] = "octet.v1.TextEncoder/Embed";

serving::MetricsOptions Options() {
  return {.methods = {kEmbed},
          .version = "9.8.7",
          .commit = "abc",
          .isa = "avx2",
          .num_threads = 3,
          .container_limits = ContainerLimits::Detect("/nowhere", 3)};
}

class Fixture : public testing::Test {
 protected:
  Fixture() {
    metrics_.RegisterModel({.name = "minilm",
                            .version = "v1",
                            .precision = "int8",
                            .isa = "avx2",
                            .load_time = absl::Seconds(1),
                            .quantization = "dynamic"});
  }

  void Answer(absl::string_view code, absl::Duration duration) {
    metrics_.StartCall(kEmbed);
    metrics_.RecordCall(kEmbed, "minilm", code, duration);
  }

  StatusFacts FactsAfter(absl::Duration since, const Traffic& earlier) {
    return {.state = "ready",
            .now = absl::FromUnixSeconds(1'700'000'000),
            .families = metrics_.Collect(),
            .at = earlier.at + since,
            .earlier = earlier,
            .errors = {}};
  }

  serving::Metrics metrics_{Options()};
};

TEST(QuantileTest, InterpolatesWithinTheBucket) {
  const std::vector<LatencyBucket> latency = {{0.01, 0}, {0.02, 10}, {0.05, 20}, {kInfinity, 20}};
  EXPECT_DOUBLE_EQ(Quantile(latency, 0.25), 0.015);
  EXPECT_DOUBLE_EQ(Quantile(latency, 0.5), 0.02);
  EXPECT_DOUBLE_EQ(Quantile(latency, 0.75), 0.035);
  EXPECT_DOUBLE_EQ(Quantile(latency, 1), 0.05);
}

TEST(QuantileTest, BeyondTheLastEdgeItIsThatEdge) {
  EXPECT_DOUBLE_EQ(Quantile({{0.01, 1}, {kInfinity, 10}}, 0.9), 0.01);
}

TEST(QuantileTest, NoCallsNoNumber) {
  EXPECT_TRUE(std::isnan(Quantile({}, 0.5)));
  EXPECT_TRUE(std::isnan(Quantile({{0.01, 0}, {kInfinity, 0}}, 0.5)));
}

TEST_F(Fixture, TrafficIsOfAllOutcomesAndLatencyOfThoseThatEndedWell) {
  Answer("OK", absl::Milliseconds(15));
  Answer("INTERNAL", absl::Seconds(5));
  metrics_.ForModel("minilm")->texts->Increment(7);
  metrics_.ForModel("minilm")->tokens->Increment(70);
  const ModelTraffic traffic = TrafficOf(metrics_.Collect(), absl::ZeroDuration()).models.at("minilm");
  EXPECT_EQ(traffic.calls, 2);
  EXPECT_EQ(traffic.failed, 1);
  EXPECT_EQ(traffic.texts, 7);
  EXPECT_EQ(traffic.tokens, 70);
  EXPECT_EQ(traffic.latency.back().count, 1);
  EXPECT_DOUBLE_EQ(Quantile(traffic.latency, 1), 0.02);  // the edge above 15 ms
}

TEST_F(Fixture, PageShowsWhatCameSinceTheEarlierSample) {
  for (int i = 0; i < 100; ++i) Answer("OK", absl::Seconds(3));
  const Traffic earlier = TrafficOf(metrics_.Collect(), absl::Seconds(100));
  for (int i = 0; i < 30; ++i) Answer(i < 3 ? "INTERNAL" : "OK", absl::Milliseconds(15));
  const std::string page = StatusPage(FactsAfter(absl::Seconds(10), earlier));
  EXPECT_THAT(page, HasSubstr("Traffic of the last 10 s"));
  // calls/s, failed, texts/s, tokens/s, percentiles between 10 and 20 ms
  EXPECT_THAT(page, HasSubstr("<th scope=\"row\">minilm</th><td>3</td><td>10 %</td><td>0</td><td>0</td><td>15</td>"));
  EXPECT_THAT(page, HasSubstr("<td>int8</td><td>dynamic</td><td>avx2</td>"));
  EXPECT_THAT(page, HasSubstr("9.8.7, commit abc"));
  EXPECT_THAT(page, HasSubstr("None since the start"));
  EXPECT_THAT(page, Not(HasSubstr("turned away")));
}

TEST_F(Fixture, PageCountsWhatWasTurnedAway) {
  metrics_.RecordRejected(serving::RejectReason::kQueueFull);
  const Traffic earlier = TrafficOf(metrics_.Collect(), absl::ZeroDuration());
  EXPECT_THAT(StatusPage(FactsAfter(absl::Seconds(1), earlier)),
              HasSubstr("<th scope=\"row\">queue_full</th><td>1</td>"));
}

TEST_F(Fixture, PageShowsErrorsAsText) {
  const Traffic earlier = TrafficOf(metrics_.Collect(), absl::ZeroDuration());
  StatusFacts facts = FactsAfter(absl::Seconds(1), earlier);
  facts.errors = {{.at = absl::FromUnixMillis(1'700'000'000'123),
                   .method = kEmbed,
                   .model = "minilm",
                   .code = "INTERNAL",
                   .message = "<script>alert(1)</script>"}};
  const std::string page = StatusPage(facts);
  EXPECT_THAT(page, HasSubstr("2023-11-14 22:13:20.123"));
  EXPECT_THAT(page, HasSubstr("&lt;script&gt;"));
  EXPECT_THAT(page, Not(HasSubstr("<script>")));
}

TEST(RecentErrorsTest, KeepsTheNewestFirst) {
  RecentErrors errors;
  EXPECT_FALSE(errors.Wants(rpc::CallKind::kCall, "OK", absl::ZeroDuration()));
  EXPECT_FALSE(errors.Wants(rpc::CallKind::kMessage, "", absl::ZeroDuration()));
  EXPECT_TRUE(errors.Wants(rpc::CallKind::kCall, "INTERNAL", absl::ZeroDuration()));
  for (size_t i = 0; i < RecentErrors::kKept + 5; ++i) {
    const std::string message = absl::StrCat("error ", i);
    errors.OnCallEnd({.kind = rpc::CallKind::kCall,
                      .method = kEmbed,
                      .model = "m",
                      .code = "INTERNAL",
                      .status = absl::InternalError(message),
                      .duration = absl::Milliseconds(1),
                      .trace = {}});
  }
  const std::vector<RecentError> kept = errors.Get();
  ASSERT_EQ(kept.size(), RecentErrors::kKept);
  EXPECT_EQ(kept.front().message, absl::StrCat("error ", RecentErrors::kKept + 4));
  EXPECT_EQ(kept.back().message, "error 5");
}

}  // namespace
}  // namespace octet::status
