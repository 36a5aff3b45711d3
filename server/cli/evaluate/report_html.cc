#include "server/cli/evaluate/report_html.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "server/cli/evaluate/report_table.h"
#include "server/cli/evaluate/scatter_svg.h"
#include "server/report/html_page.h"

namespace octet::cli {
namespace {

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

}  // namespace

std::string ScatterFigure(const Report& report) {
  const std::vector<ScatterPoint> points = PointsOf(report);
  if (points.empty()) return "";
  const std::string metric = MetricTitle(report.task.main_metric);
  return report::HtmlFigure(
      ScatterSvg(points, {.x_title = "texts/s", .y_title = absl::StrCat(metric, " x 100"), .min_y_span = 1}),
      absl::StrCat(metric, " against speed; the area of a circle is the size of the weights in memory. ",
                   "A line is the 95 % interval of the paired difference to f32, put on f32's value."));
}

std::string HtmlReport(const Report& report) {
  return report::HtmlPage(
      absl::StrCat("octet evaluate: ", report.model_name, ", ", report.task.name),
      absl::StrCat(report::HtmlTable(TableOf(report)), ScatterFigure(report), report::HtmlFacts(FactsOf(report))));
}

}  // namespace octet::cli
