#include "server/cli/inspect/value_statistics.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "model/quantize/smoothing.h"

namespace octet::cli {
namespace {

std::optional<double> SignalToNoise(std::span<const float> original, std::span<const float> rounded, size_t dim,
                                    std::span<const float> row_weights) {
  double signal = 0, noise = 0;
  for (size_t begin = 0; begin < original.size(); begin += dim) {
    double row_signal = 0, row_noise = 0;
    for (size_t i = begin; i < begin + dim; ++i) {
      const double value = static_cast<double>(original[i]), error = static_cast<double>(rounded[i]) - value;
      row_signal += value * value;
      row_noise += error * error;
    }
    const double weight = row_weights.empty() ? 1 : static_cast<double>(row_weights[begin / dim]);
    signal += weight * row_signal;
    noise += weight * row_noise;
  }
  return Decibels(signal, noise);
}

}  // namespace

ValueSummary SummarizeValues(std::span<const float> values, size_t dim) {
  const auto [min, max] = std::minmax_element(values.begin(), values.end());
  ValueSummary summary{.min = static_cast<double>(*min), .max = static_cast<double>(*max)};
  const double count = static_cast<double>(values.size());
  double mean = 0, variance = 0;
  for (const float v : values) mean += static_cast<double>(v) / count;
  // Two passes: a difference of mean squares would lose small variances around a large mean.
  for (const float v : values) variance += std::pow(static_cast<double>(v) - mean, 2) / count;
  const double far = kFarDeviations * std::sqrt(variance);
  const auto is_far = [&](float v) { return std::abs(static_cast<double>(v) - mean) > far; };
  summary.far_share = static_cast<double>(std::count_if(values.begin(), values.end(), is_far)) / count;
  summary.num_outlier_channels = CountOutlierChannels(model::ColumnMax(values, dim));
  return summary;
}

size_t CountOutlierChannels(std::span<const float> channel_max) {
  std::vector<float> sorted(channel_max.begin(), channel_max.end());
  std::sort(sorted.begin(), sorted.end());
  const size_t middle = sorted.size() / 2;
  const double upper = static_cast<double>(sorted[middle]);
  const double median = sorted.size() % 2 == 1 ? upper : (upper + static_cast<double>(sorted[middle - 1])) / 2;
  return static_cast<size_t>(std::count_if(
      sorted.begin(), sorted.end(), [&](float max) { return static_cast<double>(max) > kOutlierRatio * median; }));
}

std::optional<double> Decibels(double signal, double noise) {
  if (!(signal > 0) || !(noise > 0)) return std::nullopt;
  return 10 * std::log10(signal / noise);
}

ValueInspection InspectValues(std::span<const float> original, std::span<const float> rounded, size_t dim,
                              std::span<const float> row_weights) {
  return {.summary = SummarizeValues(original.empty() ? rounded : original, dim),
          .histogram = MakeHistogram(original, rounded),
          .signal_to_noise_db = SignalToNoise(original, rounded, dim, row_weights)};
}

}  // namespace octet::cli
