// Inline SVG drawings for report pages: no script, no outside resources; colours come from the page's style sheet by
// class. Texts are escaped here. Not thread-safe.
#ifndef OCTET_SERVER_CLI_REPORT_SVG_PLOT_H_
#define OCTET_SERVER_CLI_REPORT_SVG_PLOT_H_

#include <string>

#include "absl/strings/string_view.h"

namespace octet::cli {

// Coordinates are pixels from the top left corner.
class SvgDrawing {
 public:
  // `label`: what the drawing shows, for those who cannot see it.
  SvgDrawing(double width, double height, absl::string_view label);

  void Line(absl::string_view css_class, double x1, double y1, double x2, double y2);
  // `title` appears when it is pointed at.
  void Circle(absl::string_view css_class, double x, double y, double radius, absl::string_view title);
  // `commands`: as in the "d" of a path.
  void Path(absl::string_view css_class, absl::string_view commands);
  // `anchor`: which part of the text is at x: "start", "middle" or "end".
  void Text(absl::string_view anchor, double x, double y, absl::string_view text);
  // Written upwards, its middle at y.
  void UprightText(double x, double y, absl::string_view text);

  std::string Finish() const { return out_ + "</svg>\n"; }

 private:
  std::string out_;
};

struct PlotRange {
  double low = 0, high = 1;
  double span() const { return high - low; }
};

// A drawing with an x and a y axis, marks and titles.
class SvgPlot {
 public:
  // Spans are above 0. Titles are not escaped.
  SvgPlot(const PlotRange& x, const PlotRange& y, absl::string_view x_title, absl::string_view y_title);

  // Pixels of values.
  double X(double value) const;
  double Y(double value) const;
  SvgDrawing& drawing() { return drawing_; }

 private:
  void DrawAxes(absl::string_view x_title, absl::string_view y_title);

  const PlotRange x_, y_;
  SvgDrawing drawing_;
};

// The distance between axis marks: 1, 2 or 5 times a power of ten, so that `span` has 3 to 8 of them.
double TickStep(double span);

}  // namespace octet::cli

#endif  // OCTET_SERVER_CLI_REPORT_SVG_PLOT_H_
