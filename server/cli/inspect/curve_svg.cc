#include "server/cli/inspect/curve_svg.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "server/cli/report/svg_plot.h"

namespace octet::cli {
namespace {

constexpr double kRadius = 4, kMarkRadius = 7;  // pixels

double Speed(const MixedCurvePoint& point) { return point.relative_speed(); }
double Cosine(const MixedCurvePoint& point) { return point.cosine_mean; }

// With a margin at both ends; `least` is the smallest span.
PlotRange RangeOf(const std::vector<MixedCurvePoint>& curve, double (*value)(const MixedCurvePoint&), double least) {
  PlotRange range{.low = value(curve.front()), .high = value(curve.front())};
  for (const MixedCurvePoint& point : curve) {
    range.low = std::min(range.low, value(point));
    range.high = std::max(range.high, value(point));
  }
  const double margin = std::max(0.08 * range.span(), (least - range.span()) / 2);
  return {.low = range.low - margin, .high = range.high + margin};
}

void DrawLine(const std::vector<MixedCurvePoint>& curve, SvgPlot* plot) {
  std::string path;
  for (const MixedCurvePoint& point : curve) {
    absl::StrAppendFormat(&path, "%s%.1f %.1f", path.empty() ? "M" : "L", plot->X(Speed(point)),
                          plot->Y(Cosine(point)));
  }
  plot->drawing().Path("after", path);
}

void DrawPoint(const MixedCurvePoint& point, bool is_marked, SvgPlot* plot) {
  std::string css_class = is_marked ? "mark" : "";
  if (point.is_chosen) absl::StrAppend(&css_class, css_class.empty() ? "" : " ", "chosen");
  const double x = plot->X(Speed(point)), y = plot->Y(Cosine(point));
  plot->drawing().Circle(css_class, x, y, is_marked ? kMarkRadius : kRadius,
                         absl::StrFormat("%d layers in floats: cosine %.5f, speed %.2f", point.num_float,
                                         point.cosine_mean, point.relative_speed()));
  // Below and to the left: the curve falls to the right, faster the fewer floats there are.
  if (is_marked) {
    plot->drawing().Text("end", x - kMarkRadius, y + 18,
                         absl::StrFormat("%g: %d layers in floats", kMarkedCosine, point.num_float));
  }
}

}  // namespace

std::optional<MixedCurvePoint> FirstPointAt(const std::vector<MixedCurvePoint>& curve, double cosine) {
  std::optional<MixedCurvePoint> first;
  for (const MixedCurvePoint& point : curve) {
    if (point.cosine_mean >= cosine && (!first.has_value() || point.num_float < first->num_float)) first = point;
  }
  return first;
}

std::string CurveSvg(const std::vector<MixedCurvePoint>& curve) {
  SvgPlot plot(RangeOf(curve, Speed, 0.1), RangeOf(curve, Cosine, 1e-4), "speed of the linear layers, all in int8 = 1",
               "mean cosine to f32");
  DrawLine(curve, &plot);
  const std::optional<MixedCurvePoint> marked = FirstPointAt(curve, kMarkedCosine);
  for (const MixedCurvePoint& point : curve) {
    DrawPoint(point, marked.has_value() && point.num_float == marked->num_float, &plot);
  }
  return plot.drawing().Finish();
}

}  // namespace octet::cli
