#include "server/cli/evaluate/scatter_svg.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace octet::cli {
namespace {

// Pixels of the drawing and its margins; the plot lies between.
constexpr double kWidth = 720, kHeight = 380;
constexpr double kLeft = 70, kRight = 110, kTop = 20, kBottom = 50;
constexpr double kLargestRadius = 22;

struct Range {
  double low = 0, high = 1;
  double span() const { return high - low; }
};

Range YRange(const std::vector<ScatterPoint>& points, double min_span) {
  Range range{.low = points.front().y, .high = points.front().y};
  for (const ScatterPoint& point : points) {
    const Interval whole = point.y_interval.value_or(Interval{.low = point.y, .high = point.y});
    range.low = std::min({range.low, point.y, whole.low});
    range.high = std::max({range.high, point.y, whole.high});
  }
  const double margin = std::max(0.15 * range.span(), (min_span - range.span()) / 2);
  return {.low = range.low - margin, .high = range.high + margin};
}

class Plot {
 public:
  Plot(const std::vector<ScatterPoint>& points, const ScatterAxes& axes)
      : points_(points), axes_(axes), y_(YRange(points, axes.min_y_span)) {
    for (const ScatterPoint& point : points) {
      x_.high = std::max(x_.high, point.x * 1.15);
      max_weight_ = std::max(max_weight_, point.weight);
    }
  }

  std::string Draw() {
    out_ = absl::StrFormat("<svg viewBox=\"0 0 %.0f %.0f\" role=\"img\" aria-label=\"%s against %s\">\n", kWidth,
                           kHeight, EscapeHtml(axes_.y_title), EscapeHtml(axes_.x_title));
    DrawAxes();
    // Large circles first, so that small ones stay visible.
    std::vector<ScatterPoint> sorted = points_;
    std::stable_sort(sorted.begin(), sorted.end(), [](const auto& a, const auto& b) { return a.weight > b.weight; });
    for (const ScatterPoint& point : sorted) DrawPoint(point);
    return out_ + "</svg>\n";
  }

 private:
  double X(double value) const { return kLeft + (value - x_.low) / x_.span() * (kWidth - kLeft - kRight); }
  double Y(double value) const { return kHeight - kBottom - (value - y_.low) / y_.span() * (kHeight - kTop - kBottom); }

  void Line(absl::string_view css_class, double x1, double y1, double x2, double y2) {
    absl::StrAppendFormat(&out_, "<line class=\"%s\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>\n", css_class,
                          x1, y1, x2, y2);
  }
  void Text(absl::string_view anchor, double x, double y, absl::string_view text) {
    absl::StrAppendFormat(&out_, "<text text-anchor=\"%s\" x=\"%.1f\" y=\"%.1f\">%s</text>\n", anchor, x, y,
                          EscapeHtml(text));
  }

  void DrawAxes() {
    const double x_step = TickStep(x_.span()), y_step = TickStep(y_.span());
    for (double tick = 0; tick <= x_.high; tick += x_step) {
      Line("grid", X(tick), kTop, X(tick), kHeight - kBottom);
      Text("middle", X(tick), kHeight - kBottom + 16, absl::StrFormat("%g", tick));
    }
    for (double i = std::ceil(y_.low / y_step); i * y_step <= y_.high; ++i) {
      Line("grid", kLeft, Y(i * y_step), kWidth - kRight, Y(i * y_step));
      Text("end", kLeft - 6, Y(i * y_step) + 4, absl::StrFormat("%g", i * y_step));
    }
    Text("middle", (kLeft + kWidth - kRight) / 2, kHeight - 12, axes_.x_title);
    absl::StrAppendFormat(&out_,
                          "<text text-anchor=\"middle\" transform=\"translate(16 %.1f) rotate(-90)\">%s</text>\n",
                          (kTop + kHeight - kBottom) / 2, EscapeHtml(axes_.y_title));
  }

  void DrawPoint(const ScatterPoint& point) {
    const double radius = kLargestRadius * std::sqrt(point.weight / max_weight_);
    absl::StrAppendFormat(&out_,
                          "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"%.1f\"><title>%s: %.2f at %.0f</title></circle>\n",
                          X(point.x), Y(point.y), radius, EscapeHtml(point.label), point.y, point.x);
    if (point.y_interval.has_value()) {
      Line("interval", X(point.x), Y(point.y_interval->low), X(point.x), Y(point.y_interval->high));
    }
    Text("start", X(point.x) + radius + 4, Y(point.y) + 4, point.label);
  }

  const std::vector<ScatterPoint>& points_;
  const ScatterAxes& axes_;
  Range x_{.low = 0, .high = 1e-9};
  const Range y_;
  double max_weight_ = 0;
  std::string out_;
};

}  // namespace

double TickStep(double span) {
  const double power = std::pow(10, std::floor(std::log10(span)));
  for (const double factor : {0.2, 0.5, 1.0}) {
    if (span / (factor * power) <= 8) return factor * power;
  }
  return 2 * power;
}

std::string EscapeHtml(absl::string_view text) {
  std::string escaped;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    switch (c) {
      case '&':
        escaped += "&amp;";
        break;
      case '<':
        escaped += "&lt;";
        break;
      case '>':
        escaped += "&gt;";
        break;
      case '"':
        escaped += "&quot;";
        break;
      case '\'':
        escaped += "&#39;";
        break;
      default:
        if ((byte < 0x20 && c != '\n' && c != '\t') || byte == 0x7F) {
          escaped += "\xEF\xBF\xBD";
        } else {
          escaped.push_back(c);
        }
    }
  }
  return escaped;
}

std::string ScatterSvg(const std::vector<ScatterPoint>& points, const ScatterAxes& axes) {
  return Plot(points, axes).Draw();
}

}  // namespace octet::cli
