#include "server/cli/evaluate/bootstrap.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

#include "base/check.h"

namespace octet::cli {
namespace {

double Quantile(std::span<const double> sorted, double share) {
  const double position = share * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<size_t>(position);
  const size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (position - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

}  // namespace

std::vector<double> BootstrapReplicates(size_t num_examples, const BootstrapOptions& options,
                                        absl::FunctionRef<double(std::span<const uint32_t> sample)> metric) {
  OCTET_CHECK(num_examples >= 1 && num_examples <= std::numeric_limits<uint32_t>::max());
  // Its output is fixed by the C++ standard; std::uniform_int_distribution's is not. Multiply and shift instead of
  // it: the bias is at most num_examples / 2^32.
  std::mt19937_64 random(options.seed);
  std::vector<uint32_t> sample(num_examples);
  std::vector<double> replicates(options.num_resamples);
  for (double& replicate : replicates) {
    for (uint32_t& i : sample) i = static_cast<uint32_t>(((random() >> 32) * num_examples) >> 32);
    replicate = metric(sample);
  }
  return replicates;
}

std::optional<Interval> PercentileInterval(std::span<const double> replicates) {
  std::vector<double> sorted(replicates.begin(), replicates.end());
  std::erase_if(sorted, [](double value) { return std::isnan(value); });
  if (sorted.empty()) return std::nullopt;
  std::sort(sorted.begin(), sorted.end());
  constexpr double kTail = (1 - kConfidence) / 2;
  return Interval{.low = Quantile(sorted, kTail), .high = Quantile(sorted, 1 - kTail)};
}

std::optional<Interval> DifferenceInterval(std::span<const double> a, std::span<const double> b) {
  OCTET_CHECK(a.size() == b.size());
  std::vector<double> differences(a.size());
  for (size_t i = 0; i < a.size(); ++i) differences[i] = a[i] - b[i];
  return PercentileInterval(differences);
}

}  // namespace octet::cli
