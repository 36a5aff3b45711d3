#include "tests/serving/metrics_page.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "serving/metrics.h"

namespace octet::serving {
namespace {

using prometheus::MetricType;

constexpr char kIntroduction[] = R"(# Metrics

What `/metrics` of the metrics port (`metrics.address`, 127.0.0.1:9464 unless configured) exports, in Prometheus' text
format 0.0.4. This page is made from the server's own declarations by `make metrics-page`; a test fails when it is stale.
Dashboards, alerts and how to scrape: [monitoring.md](monitoring.md).

- Times are in seconds and sizes in bytes. Counters end in `_total` and begin at 0 with the process.
- Histograms are cumulative counts by upper edge, so percentiles over replicas are right when the buckets are added first:
  `histogram_quantile(0.99, sum by (le) (rate(octet_request_duration_seconds_bucket[5m])))`.
- Labels have few values, all of them fixed by the configuration: `model` is a configured name, `method` a full gRPC name such
  as `octet.v1.TextEncoder/Embed`. Whatever else a caller sends is counted as `unknown`; no text, client name or address
  becomes a label.
- A family with labels has no series for a combination before its first event, but for those that are known at start. Each
  model has `octet_request_duration_seconds` with `code="OK"` and `method="unknown"` from the start, so that shares of calls
  that succeeded are 0 and not empty when all of them fail.
- There is no metric of padding: a batch is the tokens of its texts end to end, and nothing is filled up. How full batches
  are: `octet_batch_tokens` against `octet_batch_tokens_limit`.
- A rename takes one release in which both names are exported.

)";

const char* TypeName(MetricType type) {
  switch (type) {
    case MetricType::Counter:
      return "counter";
    case MetricType::Gauge:
      return "gauge";
    case MetricType::Histogram:
      return "histogram";
    default:
      return "untyped";
  }
}

std::string Code(const std::string& text) { return absl::StrCat("`", text, "`"); }

std::string CodeList(const std::vector<std::string>& words) {
  return absl::StrJoin(words, ", ", [](std::string* out, const std::string& word) { out->append(Code(word)); });
}

std::string MetricsTable(const std::vector<MetricDescription>& descriptions) {
  std::string table = "| name | type | unit | labels | since | what it says |\n|---|---|---|---|---|---|\n";
  for (const MetricDescription& metric : descriptions) {
    absl::StrAppend(&table, "| ", Code(metric.spec.name), " | ", TypeName(metric.type), " | ", metric.spec.unit, " | ",
                    CodeList(metric.spec.labels), " | ", metric.spec.since, " | ", metric.spec.help, " |\n");
  }
  return table;
}

std::string BucketsTable(const std::vector<MetricDescription>& descriptions) {
  std::string table = "| name | upper edges |\n|---|---|\n";
  for (const MetricDescription& metric : descriptions) {
    if (metric.type != MetricType::Histogram) continue;
    absl::StrAppend(&table, "| ", Code(metric.spec.name), " | ", absl::StrJoin(metric.buckets, ", "), " |\n");
  }
  return table;
}

// The names of an enumeration's values, which are 0 to count - 1.
template <typename Enum>
std::string Values(absl::string_view (*name)(Enum), size_t count) {
  std::vector<std::string> names;
  for (size_t i = 0; i < count; ++i) names.emplace_back(name(static_cast<Enum>(i)));
  return CodeList(names);
}

}  // namespace

std::string MetricsPage() {
  const Metrics metrics({.methods = {},
                         .version = "",
                         .commit = "",
                         .isa = "",
                         .num_threads = 1,
                         .container_limits = ContainerLimits::Detect()});
  std::vector<MetricDescription> descriptions = metrics.descriptions();
  std::sort(descriptions.begin(), descriptions.end(),
            [](const MetricDescription& a, const MetricDescription& b) { return a.spec.name < b.spec.name; });
  return absl::StrCat(
      kIntroduction, MetricsTable(descriptions), "\n## Values of labels\n\n",
      "- `code`: the names of gRPC's status codes, `OK` to `UNAUTHENTICATED`.\n",
      "- `reason` of `octet_rejected_total`: ", Values(RejectReasonName, kNumRejectReasons),
      ".\n- `result` of `octet_trace_spans_total`: ", Values(SpanResultName, kNumSpanResults),
      ".\n- `reason` of `octet_shadow_dropped_total`: ", Values(ShadowDropName, kNumShadowDrops),
      ".\n\n## Buckets\n\nBesides these every histogram has `+Inf`. `metrics.duration_buckets` replaces "
      "those of durations.\n\n",
      BucketsTable(descriptions));
}

}  // namespace octet::serving
