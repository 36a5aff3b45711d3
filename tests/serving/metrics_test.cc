#include "serving/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace octet::serving {
namespace {

using ::testing::ElementsAre;
using ::testing::ElementsAreArray;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::UnorderedElementsAreArray;

MetricsOptions Options() {
  MetricsOptions options;
  options.methods = {"octet.v1.TextEncoder/Embed", "tei.v1.Embed/Embed"};
  options.version = "1.2.3";
  options.commit = "abc";
  options.isa = "avx2";
  options.num_threads = 2;
  options.container_limits = ContainerLimits::Detect();
  return options;
}

ModelLabels Mini() { return {"mini", "v1", "int8", "avx2", absl::Milliseconds(1500), "smooth"}; }

// Dashboards and alerts are written against these names: a change here is a change for every operator.
TEST(MetricsTest, NamesAndTypesAreStable) {
  const std::set<std::string> expected = {
      "octet_batch_size histogram",
      "octet_batch_tokens histogram",
      "octet_batch_tokens_limit gauge",
      "octet_build_info gauge",
      "octet_calls_started_total counter",
      "octet_cancelled_total counter",
      "octet_computed_after_expiry_total counter",
      "octet_cpu_limit_cores gauge",
      "octet_cpu_periods_total counter",
      "octet_cpu_rest_seconds_total counter",
      "octet_cpu_throttled_periods_total counter",
      "octet_cpu_throttled_seconds_total counter",
      "octet_expired_in_queue_total counter",
      "octet_inference_duration_seconds histogram",
      "octet_inflight_requests gauge",
      "octet_memory_limit_bytes gauge",
      "octet_model_info gauge",
      "octet_model_load_seconds gauge",
      "octet_model_loaded gauge",
      "octet_non_finite_outputs_total counter",
      "octet_queue_depth gauge",
      "octet_queue_depth_limit gauge",
      "octet_queue_duration_seconds histogram",
      "octet_queue_oldest_age_seconds gauge",
      "octet_queue_pending_bytes gauge",
      "octet_queue_pending_limit_bytes gauge",
      "octet_queue_tokens gauge",
      "octet_queue_tokens_limit gauge",
      "octet_ready gauge",
      "octet_rejected_total counter",
      "octet_request_duration_seconds histogram",
      "octet_shadow_activations_total counter",
      "octet_shadow_clipped_activations_total counter",
      "octet_shadow_cosine_distance histogram",
      "octet_shadow_dropped_total counter",
      "octet_shadow_label_flips_total counter",
      "octet_shadow_texts_total counter",
      "octet_texts_total counter",
      "octet_threads gauge",
      "octet_tokenize_duration_seconds histogram",
      "octet_tokens_total counter",
      "octet_trace_spans_total counter",
      "octet_truncated_total counter",
      "octet_worker_faults_total counter",
      "process_cpu_seconds_total counter",
      "process_max_fds gauge",
      "process_open_fds gauge",
      "process_resident_memory_bytes gauge",
      "process_start_time_seconds gauge",
      "process_virtual_memory_bytes gauge",
  };
  Metrics metrics(Options());
  metrics.RegisterModel(Mini());
  metrics.ForShadow("mini");
  metrics.StartCall("tei.v1.Embed/Embed");
  metrics.RecordCall("tei.v1.Embed/Embed", "mini", "OK", absl::Milliseconds(1));
  metrics.RecordPhases("tei.v1.Embed/Embed", "mini", {});
  std::set<std::string> actual;
  for (const auto& family : metrics.Collect()) {
    EXPECT_FALSE(family.help.empty()) << family.name;
    const bool counter = family.type == prometheus::MetricType::Counter;
    EXPECT_EQ(counter, absl::EndsWith(family.name, "_total")) << family.name;
    actual.insert(family.name + (counter                                            ? " counter"
                                 : family.type == prometheus::MetricType::Histogram ? " histogram"
                                                                                    : " gauge"));
  }
  EXPECT_THAT(actual, ElementsAreArray(expected));
}

// What docs/metrics.md says of labels and buckets is what series have.
TEST(MetricsTest, SeriesHaveTheLabelsAndBucketsThatWereDeclared) {
  Metrics metrics(Options());
  metrics.RegisterModel(Mini());
  metrics.ForShadow("mini");
  metrics.credentials()->ForTls();
  metrics.credentials()->TlsExpiry();
  metrics.credentials()->ForTokens("grpc");
  metrics.RecordCall("tei.v1.Embed/Embed", "mini", "OK", absl::Milliseconds(1));
  metrics.RecordPhases("tei.v1.Embed/Embed", "mini", {});
  std::map<std::string, MetricDescription> declared;
  for (const MetricDescription& metric : metrics.descriptions()) declared[metric.spec.name] = metric;
  size_t num_families = 0;
  for (const auto& family : metrics.Collect()) {
    ASSERT_EQ(declared.count(family.name), 1u) << family.name;
    const MetricDescription& description = declared[family.name];
    EXPECT_EQ(family.type, description.type) << family.name;
    ASSERT_FALSE(family.metric.empty()) << family.name;
    for (const auto& series : family.metric) {
      std::vector<std::string> labels;
      for (const auto& label : series.label) labels.push_back(label.name);
      EXPECT_THAT(labels, UnorderedElementsAreArray(description.spec.labels)) << family.name;
      std::vector<double> edges;
      for (const auto& bucket : series.histogram.bucket) edges.push_back(bucket.upper_bound);
      if (!edges.empty()) edges.pop_back();  // +Inf
      EXPECT_EQ(edges, description.buckets) << family.name;
    }
    ++num_families;
  }
  EXPECT_EQ(num_families, declared.size());
}

TEST(MetricsTest, LatencyHasAnEdgeAtEveryObjective) {
  Metrics metrics(Options());
  metrics.RecordCall("tei.v1.Embed/Embed", "", "OK", absl::Milliseconds(1));
  std::vector<double> edges;
  for (const auto& family : metrics.Collect()) {
    if (family.name != "octet_request_duration_seconds") continue;
    for (const auto& bucket : family.metric.at(0).histogram.bucket) edges.push_back(bucket.upper_bound);
  }
  ASSERT_EQ(edges.size(), 19u);  // 18 and +Inf
  EXPECT_EQ(edges.front(), 0.00025);
  EXPECT_EQ(edges[17], 10);
  for (const double objective : {0.01, 0.02, 0.05, 0.1}) EXPECT_THAT(edges, ::testing::Contains(objective));
}

TEST(MetricsTest, DurationsHaveTheEdgesThatWereAskedFor) {
  MetricsOptions options = Options();
  options.duration_buckets = {0.00004, 0.1};
  const Metrics metrics(options);
  std::map<std::string, std::vector<double>> edges;
  for (const MetricDescription& description : metrics.descriptions()) {
    edges[description.spec.name] = description.buckets;
  }
  EXPECT_THAT(edges["octet_request_duration_seconds"], ElementsAre(0.00004, 0.1));
  // Lower edges come before, as long as they are lower.
  EXPECT_THAT(edges["octet_queue_duration_seconds"], ElementsAre(0.00002, 0.00004, 0.1));
}

TEST(MetricsTest, CallsAreCountedByMethodModelAndCode) {
  Metrics metrics(Options());
  metrics.RegisterModel(Mini());
  metrics.StartCall("tei.v1.Embed/Embed");
  EXPECT_THAT(metrics.Render(), HasSubstr("octet_inflight_requests 1"));
  metrics.RecordCall("tei.v1.Embed/Embed", "mini", "RESOURCE_EXHAUSTED", absl::Milliseconds(3));
  const std::string text = metrics.Render();
  EXPECT_THAT(text, HasSubstr("octet_request_duration_seconds_count{code=\"RESOURCE_EXHAUSTED\","
                              "method=\"tei.v1.Embed/Embed\",model=\"mini\"} 1"));
  EXPECT_THAT(text, HasSubstr("octet_inflight_requests 0"));
}

// Else a share of calls that did not fail would be empty when all of them do.
TEST(MetricsTest, EveryModelHasASeriesOfSuccessFromTheStart) {
  Metrics metrics(Options());
  metrics.RegisterModel(Mini());
  for (const char* model : {"mini", "unknown"}) {
    EXPECT_THAT(metrics.Render(),
                HasSubstr(absl::StrCat("octet_request_duration_seconds_count{code=\"OK\",method=\"unknown\",model=\"",
                                       model, "\"} 0")));
  }
}

TEST(MetricsTest, PhasesAreCountedByMethodAndModel) {
  Metrics metrics(Options());
  metrics.RegisterModel(Mini());
  EXPECT_THAT(metrics.Render(), Not(HasSubstr("octet_queue_duration_seconds_count")));
  const PhaseTimes times = {
      .tokenize = absl::Milliseconds(1), .queue = absl::Milliseconds(2), .inference = absl::Milliseconds(4)};
  metrics.RecordPhases("tei.v1.Embed/Embed", "mini", times);
  metrics.RecordPhases("tei.v1.Embed/Embed", "mini", times);
  metrics.RecordPhases("other", "other", times);
  const std::string text = metrics.Render();
  const std::string labels = "{method=\"tei.v1.Embed/Embed\",model=\"mini\"} ";
  EXPECT_THAT(text, HasSubstr(absl::StrCat("octet_tokenize_duration_seconds_sum", labels, "0.002")));
  EXPECT_THAT(text, HasSubstr(absl::StrCat("octet_queue_duration_seconds_sum", labels, "0.004")));
  EXPECT_THAT(text, HasSubstr(absl::StrCat("octet_inference_duration_seconds_sum", labels, "0.008")));
  EXPECT_THAT(text, HasSubstr(absl::StrCat("octet_inference_duration_seconds_count", labels, "2")));
  EXPECT_THAT(text, HasSubstr("octet_inference_duration_seconds_count{method=\"unknown\",model=\"unknown\"} 1"));
}

// R15: whatever a caller sends, the number of series is bounded by what the operator configured.
TEST(MetricsTest, R15HostileLabelsFoldIntoUnknown) {
  Metrics metrics(Options());
  metrics.RegisterModel(Mini());
  for (int i = 0; i < 1000; ++i) {
    const std::string hostile = absl::StrCat("evil\"\n", i);
    metrics.StartCall(hostile);
    metrics.RecordCall(hostile, hostile, hostile, absl::Milliseconds(1));
  }
  EXPECT_THAT(metrics.Render(), Not(HasSubstr("evil")));
  for (const auto& family : metrics.Collect()) {
    if (family.name == "octet_request_duration_seconds") {
      EXPECT_EQ(family.metric.size(), 3u);  // and OK of each model
    }
    EXPECT_LE(family.metric.size(), kNumRejectReasons) << family.name;  // the largest of the sets fixed before serving
  }
  EXPECT_EQ(metrics.TotalStarted(), 1000);
  EXPECT_EQ(metrics.TotalRecorded(), 1000);
}

TEST(MetricsTest, ModelsBeyondTheTableShareUnknown) {
  Metrics metrics(Options());
  for (size_t i = 0; i < Metrics::kMaxModels + 5; ++i) {
    metrics.RegisterModel({absl::StrCat("model", i), "v", "int8", "avx2", {}});
  }
  EXPECT_EQ(metrics.ForModel("model0")->name, "model0");
  EXPECT_EQ(metrics.ForModel(absl::StrCat("model", Metrics::kMaxModels - 1))->name,
            absl::StrCat("model", Metrics::kMaxModels - 1));
  EXPECT_EQ(metrics.ForModel(absl::StrCat("model", Metrics::kMaxModels))->name, "unknown");
}

TEST(MetricsTest, AModelIsNotLoadedUntilItIsRegistered) {
  Metrics metrics(Options());
  EXPECT_THAT(metrics.Render(), Not(HasSubstr("octet_model_loaded")));
  metrics.ExpectModel("mini");
  EXPECT_THAT(metrics.Render(), HasSubstr("octet_model_loaded{model=\"mini\"} 0"));
  metrics.RegisterModel(Mini());
  EXPECT_THAT(metrics.Render(), HasSubstr("octet_model_loaded{model=\"mini\"} 1"));
  metrics.ExpectModel("late");  // with the table full
  for (size_t i = 0; i < Metrics::kMaxModels; ++i) {
    metrics.RegisterModel({absl::StrCat("model", i), "v", "int8", "avx2", {}});
  }
  metrics.RegisterModel({"late", "v", "int8", "avx2", {}});
  EXPECT_THAT(metrics.Render(), HasSubstr("octet_model_loaded{model=\"late\"} 1"));
}

TEST(MetricsTest, ModelAndBuildAreDescribed) {
  Metrics metrics(Options());
  metrics.RegisterModel(Mini());
  metrics.RegisterModel({"mini", "other", "f32", "scalar", {}});  // a second time changes nothing
  const std::string text = metrics.Render();
  EXPECT_THAT(text, HasSubstr("octet_model_info{isa=\"avx2\",model=\"mini\",precision=\"int8\","
                              "quantization=\"smooth\",version=\"v1\"} 1"));
  EXPECT_THAT(text, Not(HasSubstr("precision=\"f32\"")));
  EXPECT_THAT(text, HasSubstr("octet_model_load_seconds{model=\"mini\"} 1.5"));
  EXPECT_THAT(text, HasSubstr("octet_build_info{commit=\"abc\",isa=\"avx2\",version=\"1.2.3\"} 1"));
  EXPECT_THAT(text, HasSubstr("octet_threads 2"));
}

TEST(MetricsTest, AShadowsSeriesExistFromTheStartAndOnce) {
  Metrics metrics(Options());
  metrics.RegisterModel(Mini());
  EXPECT_THAT(metrics.Render(), Not(HasSubstr("octet_shadow")));
  metrics.ForShadow("mini").Drop(ShadowDrop::kTooLong);
  metrics.ForShadow("mini").Drop(ShadowDrop::kTooLong);
  metrics.ForShadow("mini").cosine_distance->Observe(0.0015);
  const std::string text = metrics.Render();
  EXPECT_THAT(text, HasSubstr("octet_shadow_dropped_total{model=\"mini\",reason=\"too_long\"} 2"));
  EXPECT_THAT(text, HasSubstr("octet_shadow_dropped_total{model=\"mini\",reason=\"queue_full\"} 0"));
  EXPECT_THAT(text, HasSubstr("octet_shadow_label_flips_total{model=\"mini\"} 0"));
  EXPECT_THAT(text, HasSubstr("octet_shadow_cosine_distance_bucket{model=\"mini\",le=\"0.001\"} 0"));
  EXPECT_THAT(text, HasSubstr("octet_shadow_cosine_distance_bucket{model=\"mini\",le=\"0.002\"} 1"));
}

TEST(MetricsTest, QueueIsReadWhenScraped) {
  Metrics metrics(Options());
  metrics.SetQueueProbe(
      [] { return QueueSnapshot{.texts = 3, .tokens = 70, .pending_bytes = 900, .oldest_age = absl::Seconds(2)}; });
  std::string text = metrics.Render();
  EXPECT_THAT(text, HasSubstr("octet_queue_depth 3"));
  EXPECT_THAT(text, HasSubstr("octet_queue_tokens 70"));
  EXPECT_THAT(text, HasSubstr("octet_queue_pending_bytes 900"));
  EXPECT_THAT(text, HasSubstr("octet_queue_oldest_age_seconds 2"));
  metrics.SetQueueLimits({.texts = 4096, .tokens = 65536, .pending_bytes = 1000, .batch_tokens = 8192});
  text = metrics.Render();
  EXPECT_THAT(text, HasSubstr("octet_queue_depth_limit 4096"));
  EXPECT_THAT(text, HasSubstr("octet_queue_tokens_limit 65536"));
  EXPECT_THAT(text, HasSubstr("octet_queue_pending_limit_bytes 1000"));
  EXPECT_THAT(text, HasSubstr("octet_batch_tokens_limit 8192"));
  metrics.SetQueueProbe(nullptr);
  EXPECT_THAT(metrics.Render(), HasSubstr("octet_queue_depth 0"));
}

TEST(MetricsTest, ProcessValuesArePlausible) {
  Metrics metrics(Options());
  std::map<std::string, double> values;
  for (const auto& family : metrics.Collect()) {
    if (family.metric.size() != 1) continue;
    const auto& metric = family.metric[0];
    values[family.name] = family.type == prometheus::MetricType::Counter ? metric.counter.value : metric.gauge.value;
  }
  EXPECT_GT(values["process_cpu_seconds_total"], 0);
  EXPECT_GT(values["process_resident_memory_bytes"], 1 << 20);
  EXPECT_GT(values["process_virtual_memory_bytes"], values["process_resident_memory_bytes"]);
  EXPECT_GE(values["octet_memory_limit_bytes"], values["process_resident_memory_bytes"]);
  EXPECT_GE(values["octet_cpu_periods_total"], values["octet_cpu_throttled_periods_total"]);
  EXPECT_GE(values["process_open_fds"], 3);
  EXPECT_GE(values["process_max_fds"], values["process_open_fds"]);
  EXPECT_GT(values["process_start_time_seconds"], 1.6e9);
  EXPECT_LE(values["process_start_time_seconds"], absl::ToDoubleSeconds(absl::Now() - absl::UnixEpoch()) + 1);
}

TEST(MetricsTest, NothingIsLostWhenManyThreadsRecordAndScrape) {
  Metrics metrics(Options());
  metrics.RegisterModel(Mini());
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&metrics, t] {
      for (int i = 0; i < 2000; ++i) {
        metrics.StartCall("tei.v1.Embed/Embed");
        metrics.RecordCall("tei.v1.Embed/Embed", "mini", i % 2 == 0 ? "OK" : "CANCELLED", absl::Microseconds(i));
        if (t == 0 && i % 500 == 0) metrics.Render();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(metrics.TotalStarted(), 8000);
  EXPECT_EQ(metrics.TotalRecorded(), 8000);
  EXPECT_THAT(metrics.Render(), HasSubstr("octet_inflight_requests 0"));
}

}  // namespace
}  // namespace octet::serving
