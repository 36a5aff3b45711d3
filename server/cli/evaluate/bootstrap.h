// How far a measured value might be off because the data are a sample: the percentile bootstrap, also for the
// difference of two systems on the same examples. Pure functions, thread-safe.
// Source: Efron and Tibshirani (1993), "An Introduction to the Bootstrap", chapters 6 and 13.
#ifndef OCTET_SERVER_CLI_EVALUATE_BOOTSTRAP_H_
#define OCTET_SERVER_CLI_EVALUATE_BOOTSTRAP_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "absl/functional/function_ref.h"

namespace octet::cli {

struct Interval {
  double low = 0, high = 0;
};

struct BootstrapOptions {
  // An end of the interval then has a standard error of sqrt(0.025 * 0.975 / 2000) / density(-1.96) = 0.06 standard
  // deviations of a normal metric: 1.5 % of the interval's width.
  size_t num_resamples = 2000;
  uint64_t seed = 20240229;
};
inline constexpr double kConfidence = 0.95;

// metric(sample) for each of num_resamples samples of num_examples indices, drawn with replacement. Equal num_examples
// and options give equal samples on every machine, so that two systems' results are paired entry by entry.
// The metric may be NaN where it is not defined. Requires num_examples in 1 .. 2^32 - 1.
std::vector<double> BootstrapReplicates(size_t num_examples, const BootstrapOptions& options,
                                        absl::FunctionRef<double(std::span<const uint32_t> sample)> metric);

// The middle kConfidence of the replicates, by linear interpolation between order statistics (Hyndman and Fan (1996),
// type 7, NumPy's default). NaN ones are left out; nothing when none is left.
std::optional<Interval> PercentileInterval(std::span<const double> replicates);

// The same of a[i] - b[i]: of the paired difference. Requires equal lengths.
std::optional<Interval> DifferenceInterval(std::span<const double> a, std::span<const double> b);

}  // namespace octet::cli

#endif  // OCTET_SERVER_CLI_EVALUATE_BOOTSTRAP_H_
