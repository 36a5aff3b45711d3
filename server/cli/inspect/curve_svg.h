// The curve of a mixed model: how close it is to f32 against its speed, by the number of layers in floats. Pure
// functions.
#ifndef OCTET_SERVER_CLI_INSPECT_CURVE_SVG_H_
#define OCTET_SERVER_CLI_INSPECT_CURVE_SVG_H_

#include <optional>
#include <string>
#include <vector>

#include "server/cli/inspect/quantization_details.h"

namespace octet::cli {

// What is marked on curves: at a cosine of 0.9998 the angle to f32's vector is acos(0.9998) = 1.1 degrees.
inline constexpr double kMarkedCosine = 0.9998;

// The point with the fewest float layers whose mean cosine is at least `cosine`.
std::optional<MixedCurvePoint> FirstPointAt(const std::vector<MixedCurvePoint>& curve, double cosine);

// Mean cosine against speed as inline SVG, a circle a point: the first at kMarkedCosine of class "mark", the one
// that the model has of class "chosen" (both, when it is the same). `curve` is not empty.
std::string CurveSvg(const std::vector<MixedCurvePoint>& curve);

}  // namespace octet::cli

#endif  // OCTET_SERVER_CLI_INSPECT_CURVE_SVG_H_
