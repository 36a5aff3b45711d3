#include "server/cli/report/svg_plot.h"

#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "server/report/html_page.h"

namespace octet::cli {
namespace {

// Pixels of a plot and its margins. The right one has room for the label of the last point.
constexpr double kWidth = 720, kHeight = 380;
constexpr double kLeft = 70, kRight = 110, kTop = 20, kBottom = 50;

std::string ClassOf(absl::string_view css_class) {
  return css_class.empty() ? "" : absl::StrCat(" class=\"", css_class, "\"");
}

}  // namespace

SvgDrawing::SvgDrawing(double width, double height, absl::string_view label)
    : out_(absl::StrFormat("<svg viewBox=\"0 0 %.0f %.0f\" role=\"img\" aria-label=\"%s\">\n", width, height,
                           report::EscapeHtml(label))) {}

void SvgDrawing::Line(absl::string_view css_class, double x1, double y1, double x2, double y2) {
  absl::StrAppendFormat(&out_, "<line%s x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>\n", ClassOf(css_class), x1,
                        y1, x2, y2);
}

void SvgDrawing::Circle(absl::string_view css_class, double x, double y, double radius, absl::string_view title) {
  absl::StrAppendFormat(&out_, "<circle%s cx=\"%.1f\" cy=\"%.1f\" r=\"%.1f\"><title>%s</title></circle>\n",
                        ClassOf(css_class), x, y, radius, report::EscapeHtml(title));
}

void SvgDrawing::Path(absl::string_view css_class, absl::string_view commands) {
  absl::StrAppend(&out_, "<path", ClassOf(css_class), " d=\"", commands, "\"/>\n");
}

void SvgDrawing::Text(absl::string_view anchor, double x, double y, absl::string_view text) {
  absl::StrAppendFormat(&out_, "<text text-anchor=\"%s\" x=\"%.1f\" y=\"%.1f\">%s</text>\n", anchor, x, y,
                        report::EscapeHtml(text));
}

void SvgDrawing::UprightText(double x, double y, absl::string_view text) {
  absl::StrAppendFormat(&out_,
                        "<text text-anchor=\"middle\" transform=\"translate(%.0f %.1f) rotate(-90)\">%s</text>\n", x, y,
                        report::EscapeHtml(text));
}

SvgPlot::SvgPlot(const PlotRange& x, const PlotRange& y, absl::string_view x_title, absl::string_view y_title)
    : x_(x), y_(y), drawing_(kWidth, kHeight, absl::StrCat(y_title, " against ", x_title)) {
  DrawAxes(x_title, y_title);
}

double SvgPlot::X(double value) const { return kLeft + (value - x_.low) / x_.span() * (kWidth - kLeft - kRight); }

double SvgPlot::Y(double value) const {
  return kHeight - kBottom - (value - y_.low) / y_.span() * (kHeight - kTop - kBottom);
}

void SvgPlot::DrawAxes(absl::string_view x_title, absl::string_view y_title) {
  const double x_step = TickStep(x_.span()), y_step = TickStep(y_.span());
  for (double i = std::ceil(x_.low / x_step); i * x_step <= x_.high; ++i) {
    drawing_.Line("grid", X(i * x_step), kTop, X(i * x_step), kHeight - kBottom);
    drawing_.Text("middle", X(i * x_step), kHeight - kBottom + 16, absl::StrFormat("%g", i * x_step));
  }
  for (double i = std::ceil(y_.low / y_step); i * y_step <= y_.high; ++i) {
    drawing_.Line("grid", kLeft, Y(i * y_step), kWidth - kRight, Y(i * y_step));
    drawing_.Text("end", kLeft - 6, Y(i * y_step) + 4, absl::StrFormat("%g", i * y_step));
  }
  drawing_.Text("middle", (kLeft + kWidth - kRight) / 2, kHeight - 12, x_title);
  drawing_.UprightText(16, (kTop + kHeight - kBottom) / 2, y_title);
}

double TickStep(double span) {
  const double power = std::pow(10, std::floor(std::log10(span)));
  for (const double factor : {0.2, 0.5, 1.0}) {
    if (span / (factor * power) <= 8) return factor * power;
  }
  return 2 * power;
}

}  // namespace octet::cli
