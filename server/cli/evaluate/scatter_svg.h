// A scatter plot as inline SVG: one circle a point, its area in proportion to a weight. Pure function.
#ifndef OCTET_SERVER_CLI_EVALUATE_SCATTER_SVG_H_
#define OCTET_SERVER_CLI_EVALUATE_SCATTER_SVG_H_

#include <optional>
#include <string>
#include <vector>

#include "server/cli/evaluate/bootstrap.h"

namespace octet::cli {

struct ScatterPoint {
  std::string label;                   // not escaped
  double x = 0, y = 0;                 // x at least 0
  double weight = 0;                   // above 0; the largest has the largest circle
  std::optional<Interval> y_interval;  // drawn as a line through the circle
};

struct ScatterAxes {
  std::string x_title, y_title;  // not escaped
  double min_y_span = 1;         // of the y axis, so that noise is not blown up to fill the picture
};

// The x axis begins at 0. `points` is not empty.
std::string ScatterSvg(const std::vector<ScatterPoint>& points, const ScatterAxes& axes);

}  // namespace octet::cli

#endif  // OCTET_SERVER_CLI_EVALUATE_SCATTER_SVG_H_
