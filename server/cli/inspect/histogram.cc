#include "server/cli/inspect/histogram.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "server/cli/report/svg_plot.h"

namespace octet::cli {
namespace {

// Pixels; the drawing is no wider than a phone.
constexpr double kWidth = 360, kHeight = 150, kLeft = 4, kRight = 356, kTop = 22, kBottom = 130;

void WidenTo(std::span<const float> values, double* low, double* high) {
  for (const float v : values) {
    *low = std::min(*low, static_cast<double>(v));
    *high = std::max(*high, static_cast<double>(v));
  }
}

std::vector<uint64_t> Count(std::span<const float> values, double low, double high) {
  std::vector<uint64_t> counts(values.empty() ? 0 : kHistogramBins);
  for (const float v : values) {
    const auto bin =
        static_cast<size_t>((static_cast<double>(v) - low) / (high - low) * static_cast<double>(kHistogramBins));
    ++counts[std::min(bin, kHistogramBins - 1)];  // the largest value is at the end of the last bin
  }
  return counts;
}

uint64_t Largest(const std::vector<uint64_t>& counts) {
  return counts.empty() ? 0 : *std::max_element(counts.begin(), counts.end());
}

// The outline of the counts: stairs from the left bottom corner to the right one.
std::string Stairs(const std::vector<uint64_t>& counts, uint64_t largest) {
  const double full = std::log1p(static_cast<double>(largest));
  const double bin_width = (kRight - kLeft) / static_cast<double>(kHistogramBins);
  std::string path = absl::StrFormat("M%.1f %.1f", kLeft, kBottom);
  for (size_t i = 0; i < counts.size(); ++i) {
    const double y = kBottom - std::log1p(static_cast<double>(counts[i])) / full * (kBottom - kTop);
    absl::StrAppendFormat(&path, "V%.1fH%.1f", y, kLeft + static_cast<double>(i + 1) * bin_width);
  }
  return absl::StrCat(path, absl::StrFormat("V%.1f", kBottom));
}

}  // namespace

Histogram MakeHistogram(std::span<const float> original, std::span<const float> rounded) {
  Histogram histogram{.low = std::numeric_limits<double>::infinity(), .high = -std::numeric_limits<double>::infinity()};
  WidenTo(original, &histogram.low, &histogram.high);
  WidenTo(rounded, &histogram.low, &histogram.high);
  if (histogram.low == histogram.high) {
    const double margin = std::max(std::abs(histogram.low), 1.0) / 2;
    histogram.low -= margin;
    histogram.high += margin;
  }
  histogram.original = Count(original, histogram.low, histogram.high);
  histogram.rounded = Count(rounded, histogram.low, histogram.high);
  return histogram;
}

std::string HistogramSvg(const Histogram& histogram, absl::string_view label) {
  SvgDrawing drawing(kWidth, kHeight, absl::StrCat("histogram of ", label));
  const uint64_t largest = std::max(Largest(histogram.original), Largest(histogram.rounded));
  drawing.Text("start", kLeft, 14, absl::StrCat(label, ", log counts up to ", largest));
  if (!histogram.original.empty()) {
    drawing.Path("before", absl::StrCat(Stairs(histogram.original, largest), "Z"));
  }
  if (!histogram.rounded.empty()) drawing.Path("after", Stairs(histogram.rounded, largest));
  drawing.Line("grid", kLeft, kBottom, kRight, kBottom);
  drawing.Text("start", kLeft, kHeight - 4, absl::StrFormat("%.3g", histogram.low));
  drawing.Text("end", kRight, kHeight - 4, absl::StrFormat("%.3g", histogram.high));
  if (histogram.low < 0 && histogram.high > 0) {
    const double zero = kLeft - histogram.low / (histogram.high - histogram.low) * (kRight - kLeft);
    drawing.Line("grid", zero, kTop, zero, kBottom);
    // Between the ends' labels only.
    if (zero > kLeft + 70 && zero < kRight - 70) drawing.Text("middle", zero, kHeight - 4, "0");
  }
  return drawing.Finish();
}

}  // namespace octet::cli
