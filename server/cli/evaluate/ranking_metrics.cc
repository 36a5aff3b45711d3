#include "server/cli/evaluate/ranking_metrics.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <vector>

#include "base/check.h"

namespace octet::cli {
namespace {

std::span<const double> First(size_t k, std::span<const double> values) {
  return values.first(std::min(k, values.size()));
}

double Dcg(std::span<const double> gains) {
  double sum = 0;
  for (size_t i = 0; i < gains.size(); ++i) sum += gains[i] / std::log2(static_cast<double>(i) + 2);
  return sum;
}

}  // namespace

double NdcgAt(size_t k, std::span<const double> gains, std::span<const double> judged) {
  OCTET_CHECK(!judged.empty() && k >= 1);
  std::vector<double> ideal(judged.begin(), judged.end());
  std::sort(ideal.begin(), ideal.end(), std::greater<>());
  return Dcg(First(k, gains)) / Dcg(First(k, ideal));
}

double RecallAt(size_t k, std::span<const double> gains, std::span<const double> judged) {
  OCTET_CHECK(!judged.empty() && k >= 1);
  const std::span<const double> first = First(k, gains);
  const auto found = std::count_if(first.begin(), first.end(), [](double gain) { return gain > 0; });
  return static_cast<double>(found) / static_cast<double>(judged.size());
}

double ReciprocalRankAt(size_t k, std::span<const double> gains) {
  const std::span<const double> first = First(k, gains);
  const auto hit = std::find_if(first.begin(), first.end(), [](double gain) { return gain > 0; });
  return hit == first.end() ? 0 : 1.0 / static_cast<double>(hit - first.begin() + 1);
}

}  // namespace octet::cli
