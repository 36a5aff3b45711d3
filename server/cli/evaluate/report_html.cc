#include "server/cli/evaluate/report_html.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "server/cli/evaluate/report_table.h"
#include "server/cli/evaluate/scatter_svg.h"

namespace octet::cli {
namespace {

// Colours that hold in light and dark; the table scrolls sideways on narrow screens.
constexpr char kStyle[] = R"(
:root { color-scheme: light dark; --line: #8886; --dot: #2f6fb5; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1300px; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.4rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; white-space: nowrap; }
th, td { padding: .3rem .5rem; border-bottom: 1px solid var(--line); text-align: right; }
th:first-child, td:first-child { text-align: left; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .1rem 1rem; overflow-wrap: anywhere; }
dt { opacity: .7; }
dd { margin: 0; }
figure { margin: 1.5rem 0; max-width: 760px; }
figcaption, .notes { font-size: .9rem; opacity: .8; }
svg text { font: 12px system-ui, sans-serif; fill: currentColor; }
svg .grid { stroke: var(--line); stroke-width: .5; }
svg .interval { stroke: currentColor; stroke-width: 1.5; }
svg circle { fill: var(--dot); fill-opacity: .55; stroke: var(--dot); }
)";

std::string Row(const std::vector<std::string>& cells, absl::string_view first_tag, absl::string_view tag) {
  std::string row = "<tr>";
  for (size_t i = 0; i < cells.size(); ++i) {
    const absl::string_view t = i == 0 ? first_tag : tag;
    absl::StrAppend(&row, "<", t, i == 0 && t != tag ? " scope=\"row\"" : "", ">", EscapeHtml(cells[i]), "</", t, ">");
  }
  return row + "</tr>\n";
}

std::vector<ScatterPoint> PointsOf(const Report& report) {
  std::vector<ScatterPoint> points;
  for (const VariantResult& variant : report.variants) {
    if (!variant.measurement.has_value()) continue;
    const Measurement& m = *variant.measurement;
    ScatterPoint point{.label = variant.name,
                       .x = m.texts_per_second(),
                       .y = 100 * m.metrics.front().value,
                       .weight = static_cast<double>(m.weight_bytes),
                       .y_interval = {}};
    if (m.comparison.has_value() && m.comparison->difference_interval.has_value()) {
      const double baseline = m.metrics.front().value - m.comparison->difference;
      point.y_interval = Interval{.low = 100 * (baseline + m.comparison->difference_interval->low),
                                  .high = 100 * (baseline + m.comparison->difference_interval->high)};
    }
    points.push_back(std::move(point));
  }
  return points;
}

std::string Figure(const Report& report) {
  const std::vector<ScatterPoint> points = PointsOf(report);
  if (points.empty()) return "";
  const std::string metric = MetricTitle(report.task.main_metric);
  return absl::StrCat(
      "<figure>\n",
      ScatterSvg(points, {.x_title = "texts/s", .y_title = absl::StrCat(metric, " x 100"), .min_y_span = 1}),
      "<figcaption>", EscapeHtml(metric), " against speed; the area of a circle is the size of the weights in memory. ",
      "A line is the 95 % interval of the paired difference to f32, put on f32's value.</figcaption>\n</figure>\n");
}

}  // namespace

std::string HtmlReport(const Report& report) {
  const ReportTable table = TableOf(report);
  const std::string title = absl::StrCat("octet evaluate: ", report.model_name, ", ", report.task.name);
  std::string out = absl::StrCat("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n",
                                 "<meta name=\"viewport\" content=\"width=device-width\">\n<title>", EscapeHtml(title),
                                 "</title>\n<style>", kStyle, "</style>\n</head>\n<body>\n<h1>", EscapeHtml(title),
                                 "</h1>\n<div class=\"scroll\">\n<table>\n<thead>\n", Row(table.header, "th", "th"),
                                 "</thead>\n<tbody>\n");
  for (const std::vector<std::string>& row : table.rows) out += Row(row, "th", "td");
  out += "</tbody>\n</table>\n</div>\n";
  for (const std::string& note : table.notes) {
    absl::StrAppend(&out, "<p class=\"notes\">", EscapeHtml(note), "</p>\n");
  }
  out += Figure(report);
  out += "<dl>\n";
  for (const auto& [label, value] : FactsOf(report)) {
    absl::StrAppend(&out, "<dt>", EscapeHtml(label), "</dt><dd>", EscapeHtml(value), "</dd>\n");
  }
  return out + "</dl>\n</body>\n</html>\n";
}

}  // namespace octet::cli
