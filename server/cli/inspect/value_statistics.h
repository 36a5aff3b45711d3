// What the values of a weight matrix or of a layer's inputs look like, and what rounding did to them: range, values far
// out, loud channels, signal to noise. Pure functions, thread-safe.
#ifndef OCTET_SERVER_CLI_INSPECT_VALUE_STATISTICS_H_
#define OCTET_SERVER_CLI_INSPECT_VALUE_STATISTICS_H_

#include <cstddef>
#include <optional>
#include <span>

#include "server/cli/inspect/histogram.h"

namespace octet::cli {

// A value further from the mean than so many standard deviations is far out: of a normal distribution two in a billion
// are.
inline constexpr double kFarDeviations = 6;
// A channel whose largest value is more than so many times the median channel's is an outlier. Source: the magnitude
// at which features hurt 8-bit products is 6 in LLM.int8() (Dettmers et al. 2022, section 3), where others are near 1.
inline constexpr double kOutlierRatio = 6;

struct ValueSummary {
  double min = 0, max = 0;
  double far_share = 0;  // of values beyond kFarDeviations
  size_t num_outlier_channels = 0;

  double abs_max() const { return max > -min ? max : -min; }
};

// values: [rows, dim], finite, not empty; channels are columns.
ValueSummary SummarizeValues(std::span<const float> values, size_t dim);

// How many of the channels reach more than kOutlierRatio times what the median one does. channel_max: [dim], not empty;
// of an even number the median is the mean of the middle two.
size_t CountOutlierChannels(std::span<const float> channel_max);

// 10 log10(signal / noise), both mean squares or sums of squares; nothing without noise or without signal.
std::optional<double> Decibels(double signal, double noise);

struct ValueInspection {
  ValueSummary summary;
  Histogram histogram;
  std::optional<double> signal_to_noise_db;  // nothing when nothing was rounded, or what was is not known
};

// original: [rows, dim], what was rounded; empty when it is not known, and then the summary is of `rounded`, the same
// values after rounding. row_weights: [rows], how much a row's signal and noise count; empty: all the same.
ValueInspection InspectValues(std::span<const float> original, std::span<const float> rounded, size_t dim,
                              std::span<const float> row_weights);

}  // namespace octet::cli

#endif  // OCTET_SERVER_CLI_INSPECT_VALUE_STATISTICS_H_
