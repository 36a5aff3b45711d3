#include "server/cli/evaluate/correlation.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <numeric>

#include "base/check.h"

namespace octet::cli {
namespace {

double Mean(std::span<const double> values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

}  // namespace

std::vector<double> AverageRanks(std::span<const double> values) {
  std::vector<size_t> order(values.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t i, size_t j) { return values[i] < values[j]; });
  std::vector<double> ranks(values.size());
  for (size_t begin = 0, end = 0; begin < order.size(); begin = end) {
    while (end < order.size() && values[order[end]] == values[order[begin]]) ++end;
    const double rank = static_cast<double>(begin + 1 + end) / 2;  // the mean of begin + 1, ..., end
    for (size_t i = begin; i < end; ++i) ranks[order[i]] = rank;
  }
  return ranks;
}

double Pearson(std::span<const double> a, std::span<const double> b) {
  OCTET_CHECK(a.size() == b.size());
  const double undefined = std::numeric_limits<double>::quiet_NaN();
  if (a.size() < 2) return undefined;
  // Asked of the values: the mean of equal values may round, and their deviations then are noise.
  const auto is_constant = [](std::span<const double> x) {
    return std::all_of(x.begin(), x.end(), [&](double value) { return value == x.front(); });
  };
  if (is_constant(a) || is_constant(b)) return undefined;
  const double mean_a = Mean(a), mean_b = Mean(b);
  double ab = 0, aa = 0, bb = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    const double da = a[i] - mean_a, db = b[i] - mean_b;
    ab += da * db;
    aa += da * da;
    bb += db * db;
  }
  const double norm = std::sqrt(aa) * std::sqrt(bb);
  if (norm == 0) return undefined;  // deviations too small for double
  return std::clamp(ab / norm, -1.0, 1.0);
}

double Spearman(std::span<const double> a, std::span<const double> b) {
  return Pearson(AverageRanks(a), AverageRanks(b));
}

}  // namespace octet::cli
