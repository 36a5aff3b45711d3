#include "server/cli/evaluate/scatter_svg.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_format.h"
#include "server/cli/report/svg_plot.h"

namespace octet::cli {
namespace {

constexpr double kLargestRadius = 22;  // pixels

PlotRange YRange(const std::vector<ScatterPoint>& points, double min_span) {
  PlotRange range{.low = points.front().y, .high = points.front().y};
  for (const ScatterPoint& point : points) {
    const Interval whole = point.y_interval.value_or(Interval{.low = point.y, .high = point.y});
    range.low = std::min({range.low, point.y, whole.low});
    range.high = std::max({range.high, point.y, whole.high});
  }
  const double margin = std::max(0.15 * range.span(), (min_span - range.span()) / 2);
  return {.low = range.low - margin, .high = range.high + margin};
}

PlotRange XRange(const std::vector<ScatterPoint>& points) {
  PlotRange range{.low = 0, .high = 1e-9};
  for (const ScatterPoint& point : points) range.high = std::max(range.high, point.x * 1.15);
  return range;
}

void DrawPoint(const ScatterPoint& point, double radius, SvgPlot* plot) {
  const double x = plot->X(point.x), y = plot->Y(point.y);
  SvgDrawing& drawing = plot->drawing();
  drawing.Circle("", x, y, radius, absl::StrFormat("%s: %.2f at %.0f", point.label, point.y, point.x));
  if (point.y_interval.has_value()) {
    drawing.Line("interval", x, plot->Y(point.y_interval->low), x, plot->Y(point.y_interval->high));
  }
}

void DrawLabel(const ScatterPoint& point, double radius, SvgPlot* plot) {
  plot->drawing().Text("start", plot->X(point.x) + radius + 4, plot->Y(point.y) + 4, point.label);
}

}  // namespace

std::string ScatterSvg(const std::vector<ScatterPoint>& points, const ScatterAxes& axes) {
  SvgPlot plot(XRange(points), YRange(points, axes.min_y_span), axes.x_title, axes.y_title);
  // Large circles first, so that small ones stay visible.
  std::vector<ScatterPoint> sorted = points;
  std::stable_sort(sorted.begin(), sorted.end(), [](const auto& a, const auto& b) { return a.weight > b.weight; });
  const auto radius = [&](const ScatterPoint& point) {
    return kLargestRadius * std::sqrt(point.weight / sorted.front().weight);
  };
  for (const ScatterPoint& point : sorted) DrawPoint(point, radius(point), &plot);
  // On top: a label may reach the circle and the interval of its neighbour.
  for (const ScatterPoint& point : sorted) DrawLabel(point, radius(point), &plot);
  return plot.drawing().Finish();
}

}  // namespace octet::cli
