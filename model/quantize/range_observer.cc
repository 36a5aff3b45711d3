#include "model/quantize/range_observer.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "absl/strings/str_cat.h"

namespace octet::model {
namespace {

constexpr struct {
  RangeObserver observer;
  const char* name;
} kObserverNames[] = {
    {RangeObserver::kMinMax, "min_max"},
    {RangeObserver::kMovingAverage, "moving_average"},
    {RangeObserver::kPercentile, "percentile"},
    {RangeObserver::kEntropy, "entropy"},
    {RangeObserver::kMse, "mse"},
};

// Share of the latest text in the moving average; PyTorch's observer has the same.
constexpr float kAveraging = 0.01f;
constexpr double kClippedShare = 1e-4;
constexpr size_t kNumBins = 4096;
constexpr size_t kNumLevels = 256;

// Each value of the inputs, times its factor, with the text it comes from.
template <class F>
void ForEachValue(const LinearInputs& inputs, std::span<const float> factors, const F& body) {
  for (size_t r = 0; r < inputs.num_rows(); ++r) {
    const std::span<const float> row = inputs.row(r);
    for (size_t c = 0; c < row.size(); ++c) {
      body(inputs.text_of_row[r], factors.empty() ? row[c] : row[c] * factors[c]);
    }
  }
}

void Widen(float value, ValueRange* range) { Widen(ValueRange{.min = value, .max = value}, range); }

ValueRange AverageOfTexts(const LinearInputs& inputs, std::span<const float> factors) {
  std::vector<ValueRange> of_texts;
  uint32_t text = std::numeric_limits<uint32_t>::max();
  ForEachValue(inputs, factors, [&](uint32_t text_of_value, float value) {
    if (text_of_value != text) of_texts.emplace_back();
    text = text_of_value;
    Widen(value, &of_texts.back());
  });
  ValueRange average = of_texts.empty() ? ValueRange{} : of_texts.front();
  for (const ValueRange& range : of_texts) {
    average.min += kAveraging * (range.min - average.min);
    average.max += kAveraging * (range.max - average.max);
  }
  return average;
}

// Counts of values in equal bins over a range.
struct Histogram {
  ValueRange range;
  std::vector<double> counts = std::vector<double>(kNumBins, 0.0);

  double width() const { return (static_cast<double>(range.max) - static_cast<double>(range.min)) / kNumBins; }
  double Center(size_t bin) const {
    return static_cast<double>(range.min) + (static_cast<double>(bin) + 0.5) * width();
  }
  size_t BinOf(double value) const {
    const double bin = (value - static_cast<double>(range.min)) / width();
    return static_cast<size_t>(std::clamp(bin, 0.0, static_cast<double>(kNumBins - 1)));
  }
};

Histogram Count(const LinearInputs& inputs, std::span<const float> factors, const ValueRange& range) {
  Histogram histogram{.range = range};
  ForEachValue(inputs, factors, [&](uint32_t, float value) { ++histogram.counts[histogram.BinOf(value)]; });
  return histogram;
}

// The bins [first, last] that hold all but `share` of the values, half of it cut at each end.
ValueRange WithoutTails(const Histogram& histogram, double share) {
  double total = 0;
  for (const double count : histogram.counts) total += count;
  const double cut = total * share / 2;
  size_t first = 0, last = kNumBins - 1;
  for (double sum = histogram.counts[first]; sum <= cut && first < last; sum += histogram.counts[first]) ++first;
  for (double sum = histogram.counts[last]; sum <= cut && last > first; sum += histogram.counts[last]) --last;
  return {.min = std::min(0.0f, static_cast<float>(histogram.Center(first) - histogram.width() / 2)),
          .max = std::max(0.0f, static_cast<float>(histogram.Center(last) + histogram.width() / 2))};
}

double SquaredError(const Histogram& histogram, const ValueRange& range) {
  const kernels::RowQuantization row = QuantizationOf(range);
  const double scale = row.scale, zero_point = row.zero_point;
  double sum = 0;
  for (size_t bin = 0; bin < kNumBins; ++bin) {
    const double value = histogram.Center(bin);
    const double q = std::clamp(std::nearbyint(value / scale) + zero_point, 0.0, 255.0);
    const double error = (q - zero_point) * scale - value;
    // Values within a bin are spread over it.
    sum += histogram.counts[bin] * (error * error + histogram.width() * histogram.width() / 12);
  }
  return sum;
}

// KL(P || Q): P is the histogram clipped to `range`, Q the same merged to as many levels as quantization has and spread
// again over the bins that are not empty.
double Divergence(const Histogram& histogram, const ValueRange& range) {
  const size_t first = histogram.BinOf(range.min), last = histogram.BinOf(range.max), num_bins = last - first + 1;
  std::vector<double> p(histogram.counts.begin() + static_cast<ptrdiff_t>(first),
                        histogram.counts.begin() + static_cast<ptrdiff_t>(last) + 1);
  for (size_t bin = 0; bin < first; ++bin) p.front() += histogram.counts[bin];
  for (size_t bin = last + 1; bin < kNumBins; ++bin) p.back() += histogram.counts[bin];
  double total = 0, divergence = 0;
  for (const double count : p) total += count;
  for (size_t level = 0; level < kNumLevels; ++level) {
    const size_t begin = level * num_bins / kNumLevels, end = (level + 1) * num_bins / kNumLevels;
    // Q has no values beyond the range: what is clipped counts against it.
    double inside = 0, used = 0;
    for (size_t bin = begin; bin < end; ++bin) {
      inside += histogram.counts[first + bin];
      used += p[bin] > 0 ? 1 : 0;
    }
    for (size_t bin = begin; bin < end; ++bin) {
      if (p[bin] == 0) continue;
      // A level whose only values were clipped into it: as if it held one.
      const double q = std::max(inside, 1.0) / used;
      divergence += p[bin] / total * std::log(p[bin] / q);
    }
  }
  return divergence;
}

// The range within `whole` with the least loss: each end in turn is moved towards zero, twice, since the best place of
// one depends on the other.
template <class Loss>
ValueRange Shrink(const ValueRange& whole, const Loss& loss) {
  constexpr int kRounds = 2, kSteps = 100;
  ValueRange best = whole;
  double least = loss(whole);
  for (int round = 0; round < kRounds; ++round) {
    for (float ValueRange::*const end : {&ValueRange::max, &ValueRange::min}) {
      for (int step = 0; step < kSteps; ++step) {
        ValueRange range = best;
        range.*end = whole.*end * (1.0f - static_cast<float>(step) / kSteps);
        const double value = loss(range);
        if (value >= least) continue;
        least = value;
        best = range;
      }
    }
  }
  return best;
}

}  // namespace

absl::string_view RangeObserverName(RangeObserver observer) {
  for (const auto& entry : kObserverNames) {
    if (entry.observer == observer) return entry.name;
  }
  return "";
}

absl::StatusOr<RangeObserver> ParseRangeObserver(absl::string_view name) {
  std::string known;
  for (const auto& entry : kObserverNames) {
    if (name == entry.name) return entry.observer;
    absl::StrAppend(&known, known.empty() ? "" : ", ", entry.name);
  }
  return absl::InvalidArgumentError(absl::StrCat("observer: unknown, allowed are ", known));
}

ValueRange ObserveRange(RangeObserver observer, const LinearInputs& inputs, std::span<const float> factors) {
  if (observer == RangeObserver::kMovingAverage) return AverageOfTexts(inputs, factors);
  ValueRange whole;
  ForEachValue(inputs, factors, [&](uint32_t, float value) { Widen(value, &whole); });
  if (observer == RangeObserver::kMinMax || whole.min == whole.max) return whole;
  const Histogram histogram = Count(inputs, factors, whole);
  switch (observer) {
    case RangeObserver::kPercentile:
      return WithoutTails(histogram, kClippedShare);
    case RangeObserver::kEntropy:
      return Shrink(whole, [&](const ValueRange& range) { return Divergence(histogram, range); });
    default:
      return Shrink(whole, [&](const ValueRange& range) { return SquaredError(histogram, range); });
  }
}

}  // namespace octet::model
