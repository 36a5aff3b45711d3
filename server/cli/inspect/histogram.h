// Counts of values in bins of equal width, before and after rounding, and their drawing. Pure functions, thread-safe.
#ifndef OCTET_SERVER_CLI_INSPECT_HISTOGRAM_H_
#define OCTET_SERVER_CLI_INSPECT_HISTOGRAM_H_

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace octet::cli {

// Fewer than the 256 steps of int8, so that a bin has some of them and the two outlines can be compared; enough to show
// a tail.
inline constexpr size_t kHistogramBins = 64;

struct Histogram {
  double low = 0, high = 1;  // of all values; low < high
  // [kHistogramBins], from low to high; `original` is empty when the values before rounding are not known.
  std::vector<uint64_t> original = {}, rounded = {};
};

// One of the two may be empty. Values are finite. All values equal: they are in the middle bin of a range around them.
Histogram MakeHistogram(std::span<const float> original, std::span<const float> rounded);

// Counts as log(1 + count), `original` filled (class "before") and `rounded` as an outline (class "after"), in inline
// SVG of 360 x 150. `label` is not escaped.
std::string HistogramSvg(const Histogram& histogram, absl::string_view label);

}  // namespace octet::cli

#endif  // OCTET_SERVER_CLI_INSPECT_HISTOGRAM_H_
