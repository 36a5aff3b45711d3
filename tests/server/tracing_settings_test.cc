#include "server/cli/tracing_settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "server/cli/otel_environment.h"

namespace octet::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class TracingSettingsTest : public ::testing::Test {
 protected:
  absl::StatusOr<std::optional<TracingSettings>> Settle() {
    warnings_.clear();
    return TracingSettingsOf(config_, environment_, &warnings_);
  }
  TracingSettings On() {
    const auto settings = Settle();
    EXPECT_TRUE(settings.ok()) << settings.status();
    EXPECT_TRUE(settings.ok() && settings->has_value());
    return settings.ok() && settings->has_value() ? **settings : TracingSettings();
  }
  void ExpectOff() {
    const auto settings = Settle();
    ASSERT_TRUE(settings.ok()) << settings.status();
    EXPECT_FALSE(settings->has_value());
  }
  std::string Problem() { return std::string(Settle().status().message()); }

  config::v1::Tracing config_;
  std::vector<std::string> environment_;
  std::vector<std::string> warnings_;
};

TEST_F(TracingSettingsTest, IsOffWithoutAnEndpoint) {
  ExpectOff();
  environment_ = {"OTEL_TRACES_SAMPLER=always_on", "OTEL_EXPORTER_OTLP_ENDPOINT="};
  ExpectOff();
}

TEST_F(TracingSettingsTest, OurKeysOverrideTheVariablesAndThoseForTracesTheOthers) {
  environment_ = {"OTEL_EXPORTER_OTLP_ENDPOINT=http://all:1", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://traces:2",
                  "OTEL_TRACES_SAMPLER=traceidratio", "OTEL_TRACES_SAMPLER_ARG=0.25",
                  "OTEL_EXPORTER_OTLP_TIMEOUT=1234"};
  TracingSettings settings = On();
  EXPECT_EQ(settings.otlp.target, "traces:2");
  EXPECT_FALSE(settings.otlp.use_tls);
  EXPECT_EQ(settings.sampler_name, "traceidratio");
  EXPECT_EQ(settings.ratio, 0.25);
  EXPECT_EQ(settings.processor.timeout, absl::Milliseconds(1234));
  config_.set_endpoint("https://ours:3");
  config_.set_sampler("always_off");
  config_.set_ratio(0.5);
  config_.set_timeout_ms(500);
  settings = On();
  EXPECT_EQ(settings.otlp.target, "ours:3");
  EXPECT_TRUE(settings.otlp.use_tls);
  EXPECT_EQ(settings.sampler_name, "always_off");
  EXPECT_EQ(settings.ratio, 0.5);
  EXPECT_EQ(settings.processor.timeout, absl::Milliseconds(500));
  EXPECT_THAT(warnings_, ElementsAre());
}

TEST_F(TracingSettingsTest, DefaultsAreThoseOfOpenTelemetry) {
  config_.set_endpoint("http://collector");
  const TracingSettings settings = On();
  EXPECT_EQ(settings.otlp.target, "collector:4317");
  EXPECT_EQ(settings.sampler_name, "parentbased_traceidratio");
  EXPECT_EQ(settings.ratio, 1);
  EXPECT_EQ(settings.processor.max_queue_spans, 2048u);
  EXPECT_EQ(settings.processor.max_batch_spans, 512u);
  EXPECT_EQ(settings.processor.timeout, absl::Seconds(10));
  EXPECT_EQ(settings.MaxBytes(), (2048 + 2 * 512) * 1024u);
}

TEST_F(TracingSettingsTest, TheKillSwitchWinsAndSaysSo) {
  config_.set_endpoint("http://collector:4317");
  for (const char* off : {"OTEL_SDK_DISABLED=true", "OTEL_SDK_DISABLED=TRUE", "OTEL_TRACES_EXPORTER=none"}) {
    environment_ = {off};
    ExpectOff();
    EXPECT_EQ(warnings_.size(), 1u) << off;
  }
  environment_ = {"OTEL_SDK_DISABLED=false"};
  On();
}

TEST_F(TracingSettingsTest, EndpointsWithoutSchemeAreTlsUnlessInsecure) {
  for (const char* endpoint : {"collector:4317", "[::1]:4317"}) {
    config_.set_endpoint(endpoint);
    config_.set_insecure(false);
    EXPECT_TRUE(On().otlp.use_tls);
    config_.set_insecure(true);
    EXPECT_FALSE(On().otlp.use_tls);
    EXPECT_EQ(On().otlp.target, endpoint);
  }
  config_.set_endpoint("https://[::1]/");
  EXPECT_TRUE(On().otlp.use_tls);
  EXPECT_EQ(On().otlp.target, "[::1]:4317");
}

TEST_F(TracingSettingsTest, WrongKeysAreRefusedByName) {
  for (const char* endpoint :
       {"grpc://a:1", "http://", "http://:4317", "a:0", "a:70000", "a:b", "http://a:1/v1/traces"}) {
    config_.set_endpoint(endpoint);
    EXPECT_THAT(Problem(), HasSubstr("tracing.endpoint: want http://HOST:PORT")) << endpoint;
  }
  config_.set_endpoint("http://a:1");
  for (const double ratio : {-0.5, 1.5, -2.0}) {
    config_.set_ratio(ratio);
    EXPECT_THAT(Problem(), HasSubstr("tracing.ratio: ")) << ratio;
  }
  config_.set_ratio(0);
  config_.set_max_batch_spans(4096);
  EXPECT_THAT(Problem(), HasSubstr("tracing.max_batch_spans: 4096, want at most tracing.max_queue_spans = 2048"));
  config_.clear_max_batch_spans();
  config_.set_endpoint("https://a:1");
  config_.set_ca_file("/nonexistent.pem");
  EXPECT_THAT(Problem(), HasSubstr("tracing.ca_file: /nonexistent.pem"));
}

TEST_F(TracingSettingsTest, WrongVariablesAreIgnoredWithAWarningThatDoesNotShowThem) {
  config_.set_endpoint("http://a:1");
  environment_ = {"OTEL_TRACES_SAMPLER=secret",         "OTEL_TRACES_SAMPLER_ARG=7",
                  "OTEL_EXPORTER_OTLP_PROTOCOL=secret", "OTEL_EXPORTER_OTLP_TIMEOUT=secret",
                  "OTEL_EXPORTER_OTLP_HEADERS=secret",  "OTEL_RESOURCE_ATTRIBUTES=a=%secret",
                  "OTEL_SERVICE_NAME=secret\xff",       "OTEL_TRACES_EXPORTER=zipkin"};
  const TracingSettings settings = On();
  EXPECT_EQ(settings.sampler_name, "parentbased_traceidratio");
  EXPECT_EQ(settings.ratio, 1);
  EXPECT_EQ(warnings_.size(), environment_.size());
  for (const std::string& warning : warnings_) EXPECT_EQ(warning.find("secret"), std::string::npos) << warning;
  config_.clear_endpoint();
  environment_ = {"OTEL_EXPORTER_OTLP_ENDPOINT=ftp://a"};
  ExpectOff();
  EXPECT_EQ(warnings_.size(), 1u);
}

TEST_F(TracingSettingsTest, TheResourceSaysWhoItIs) {
  config_.set_endpoint("http://a:1");
  environment_ = {"OTEL_RESOURCE_ATTRIBUTES=service.name=other,k8s.pod.name=octet-0,host.name=node%201",
                  "OTEL_SERVICE_NAME=embedder", "OTEL_EXPORTER_OTLP_HEADERS=Api-Key=a%3Db"};
  const TracingSettings settings = On();
  std::map<std::string, std::string> resource(settings.otlp.resource.begin(), settings.otlp.resource.end());
  EXPECT_EQ(resource.size(), settings.otlp.resource.size());  // none twice
  EXPECT_EQ(resource["service.name"], "embedder");
  EXPECT_EQ(resource["k8s.pod.name"], "octet-0");
  EXPECT_EQ(resource["host.name"], "node 1");
  EXPECT_FALSE(resource["service.version"].empty());
  EXPECT_THAT(resource["service.instance.id"],
              ::testing::MatchesRegex("[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"));
  const auto other = On().otlp.resource;
  const std::map<std::string, std::string> again(other.begin(), other.end());
  EXPECT_NE(resource["service.instance.id"], again.at("service.instance.id"));
  EXPECT_THAT(settings.otlp.headers, ElementsAre(std::pair<std::string, std::string>("api-key", "a=b")));
}

TEST(OtelPairsTest, ReadsListsAndRefusesAnythingElse) {
  EXPECT_THAT(*ParseOtelPairs("a=1, b = x%20y ,c="), ElementsAre(std::pair<std::string, std::string>("a", "1"),
                                                                 std::pair<std::string, std::string>("b", "x y"),
                                                                 std::pair<std::string, std::string>("c", "")));
  EXPECT_TRUE(ParseOtelPairs("")->empty());
  for (const char* bad : {"a", "=1", "a=%4", "a=%zz", "a=%ff", "a b=1", "a=1,b"}) {
    EXPECT_FALSE(ParseOtelPairs(bad).has_value()) << bad;
  }
}

}  // namespace
}  // namespace octet::cli
