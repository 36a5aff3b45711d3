#include "server/status/status_page.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "server/report/html_page.h"
#include "server/report/text_table.h"
#include "server/status/metric_values.h"

namespace octet::status {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;

// Text columns read from the left.
constexpr char kStyle[] = R"(
.text td { text-align: left; }
.text th { text-align: left; }
h2 { font-size: 1.1rem; margin-top: 2rem; }
)";

// "1,234" of numbers from a thousand on; fewer digits after the point the larger they are.
std::string Number(double value) {
  if (std::isnan(value)) return "-";
  if (value < 10) return absl::StrFormat("%.3g", value);
  const std::string digits = absl::StrFormat("%.0f", value);
  std::string grouped;
  for (size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && (digits.size() - i) % 3 == 0) grouped.push_back(',');
    grouped.push_back(digits[i]);
  }
  return grouped;
}

std::string Milliseconds(double seconds) { return Number(seconds * 1e3); }
std::string MebiBytes(double bytes) { return absl::StrCat(Number(bytes / (1 << 20)), " MiB"); }

class Facts {
 public:
  explicit Facts(const std::vector<MetricFamily>& families) : families_(families) {}

  void Add(std::string label, std::string value) { facts_.emplace_back(std::move(label), std::move(value)); }
  // Nothing if the metric is not there.
  void AddMetric(std::string label, absl::string_view metric, std::string (*format)(double)) {
    if (const auto value = GaugeValue(families_, metric)) Add(std::move(label), format(*value));
  }
  std::string Html() const { return report::HtmlFacts(facts_); }

 private:
  const std::vector<MetricFamily>& families_;
  std::vector<std::pair<std::string, std::string>> facts_;
};

std::string Summary(const StatusFacts& status) {
  Facts facts(status.families);
  facts.Add("state", status.state);
  for (const ClientMetric& build : SeriesOf(status.families, "octet_build_info")) {
    facts.Add("octet", absl::StrCat(LabelOf(build, "version"), ", commit ", LabelOf(build, "commit")));
    facts.Add("instruction set", LabelOf(build, "isa"));
  }
  if (const auto start = GaugeValue(status.families, "process_start_time_seconds")) {
    const absl::Duration up = status.now - absl::FromUnixMillis(static_cast<int64_t>(*start * 1e3));
    facts.Add("running for", absl::FormatDuration(absl::Trunc(up, absl::Seconds(1))));
  }
  facts.AddMetric("computing threads", "octet_threads", Number);
  facts.AddMetric("CPUs allowed", "octet_cpu_limit_cores", Number);
  facts.AddMetric("resident memory", "process_resident_memory_bytes", MebiBytes);
  facts.AddMetric("calls in flight", "octet_inflight_requests", Number);
  facts.AddMetric("texts waiting", "octet_queue_depth", Number);
  facts.AddMetric("tokens waiting", "octet_queue_tokens", Number);
  facts.AddMetric("oldest waits for, ms", "octet_queue_oldest_age_seconds", Milliseconds);
  return facts.Html();
}

std::string Models(const StatusFacts& status) {
  report::TextTable table{
      .header = {"model", "version", "precision", "quantization", "instruction set"}, .rows = {}, .notes = {}};
  for (const ClientMetric& info : SeriesOf(status.families, "octet_model_info")) {
    table.rows.push_back({LabelOf(info, "model"), LabelOf(info, "version"), LabelOf(info, "precision"),
                          LabelOf(info, "quantization"), LabelOf(info, "isa")});
  }
  return absl::StrCat("<h2>Models</h2>\n<div class=\"text\">", report::HtmlTable(table), "</div>\n");
}

std::vector<std::string> TrafficRow(const std::string& model, const ModelTraffic& traffic, double seconds) {
  return {model,
          Number(traffic.calls / seconds),
          traffic.calls == 0 ? "-" : absl::StrCat(Number(100 * traffic.failed / traffic.calls), " %"),
          Number(traffic.texts / seconds),
          Number(traffic.tokens / seconds),
          Milliseconds(Quantile(traffic.latency, 0.5)),
          Milliseconds(Quantile(traffic.latency, 0.95)),
          Milliseconds(Quantile(traffic.latency, 0.99))};
}

std::string TrafficTable(const StatusFacts& status) {
  const Traffic now = TrafficOf(status.families, status.at);
  const double seconds = std::max(1e-3, absl::ToDoubleSeconds(now.at - status.earlier.at));
  report::TextTable table{
      .header = {"model", "calls/s", "failed", "texts/s", "tokens/s", "p50 ms", "p95 ms", "p99 ms"},
      .rows = {},
      .notes = {
          "Percentiles are of calls that ended OK, from arrival to answer. \"unknown\": calls that named no model "
          "that is here."}};
  for (const auto& [model, total] : now.models) {
    const auto before = status.earlier.models.find(model);
    table.rows.push_back(
        TrafficRow(model, before == status.earlier.models.end() ? total : Difference(total, before->second), seconds));
  }
  return absl::StrFormat("<h2>Traffic of the last %.0f s</h2>\n%s", seconds, report::HtmlTable(table));
}

// Counts of what is not as it should be, since the start; only what happened.
std::string TurnedAway(const StatusFacts& status) {
  report::TextTable table{.header = {"turned away since the start", "calls"}, .rows = {}, .notes = {}};
  for (const ClientMetric& rejected : SeriesOf(status.families, "octet_rejected_total")) {
    if (rejected.counter.value == 0) continue;
    table.rows.push_back({LabelOf(rejected, "reason"), Number(rejected.counter.value)});
  }
  if (table.rows.empty()) return "";
  return report::HtmlTable(table);
}

std::string Errors(const StatusFacts& status) {
  if (status.errors.empty()) return "<h2>Last errors</h2>\n<p>None since the start.</p>\n";
  report::TextTable table{.header = {"time, UTC", "method", "model", "code", "message"}, .rows = {}, .notes = {}};
  for (const RecentError& error : status.errors) {
    table.rows.push_back({absl::FormatTime("%Y-%m-%d %H:%M:%E3S", error.at, absl::UTCTimeZone()), error.method,
                          error.model, error.code, error.message});
  }
  return absl::StrCat("<h2>Last errors</h2>\n<div class=\"text\">", report::HtmlTable(table), "</div>\n");
}

}  // namespace

std::string StatusPage(const StatusFacts& facts) {
  const std::string foot = absl::StrCat(
      "<p class=\"notes\">As of ", absl::FormatTime("%Y-%m-%d %H:%M:%S", facts.now, absl::UTCTimeZone()),
      " UTC; the page loads itself again every ten seconds. For programs: <a href=\"/metrics\">/metrics</a>, "
      "<a href=\"/healthz\">/healthz</a>, <a href=\"/readyz\">/readyz</a>.</p>\n");
  return report::HtmlPage(
      "octet", absl::StrCat(Summary(facts), Models(facts), TrafficTable(facts), TurnedAway(facts), Errors(facts), foot),
      kStyle);
}

}  // namespace octet::status
