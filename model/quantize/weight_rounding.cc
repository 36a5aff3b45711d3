#include "model/quantize/weight_rounding.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>

#include "base/status_macros.h"
#include "kernels/linear.h"
#include "kernels/thread_team.h"

namespace octet::model {
namespace {

// Of the mean second moment: enough to make a singular matrix regular, too little to matter otherwise.
constexpr double kDamping = 0.01;

// Several sums at a time, so that they fit a vector.
double Dot(const double* a, const double* b, size_t n) {
  constexpr size_t kLanes = 8;
  double sums[kLanes] = {};
  size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    for (size_t l = 0; l < kLanes; ++l) sums[l] += a[i + l] * b[i + l];
  }
  for (; i < n; ++i) sums[0] += a[i] * b[i];
  double sum = 0;
  for (const double s : sums) sum += s;
  return sum;
}

// y -= factor * x
template <typename T>
void SubtractScaled(T factor, const T* x, size_t n, T* y) {
  for (size_t i = 0; i < n; ++i) y[i] -= factor * x[i];
}

// X^T X of `rows`: [num_rows, n].
std::vector<double> SecondMoments(std::span<const float> rows, size_t n) {
  std::vector<double> moments(n * n, 0.0), row(n);
  for (size_t begin = 0; begin < rows.size(); begin += n) {
    std::copy_n(rows.data() + begin, n, row.data());
    for (size_t i = 0; i < n; ++i) SubtractScaled(-row[i], row.data(), i + 1, moments.data() + i * n);
  }
  for (size_t i = 0; i < n; ++i) {
    for (size_t j = 0; j < i; ++j) moments[j * n + i] = moments[i * n + j];
  }
  return moments;
}

// Cholesky: a = L L^T, L in place of the lower triangle. False when `a` is not positive definite.
bool FactorLower(std::vector<double>& a, size_t n) {
  for (size_t i = 0; i < n; ++i) {
    double* const row = a.data() + i * n;
    for (size_t j = 0; j < i; ++j) row[j] = (row[j] - Dot(row, a.data() + j * n, j)) / a[j * n + j];
    const double pivot = row[i] - Dot(row, row, i);
    if (!(pivot > 0) || !std::isfinite(pivot)) return false;
    row[i] = std::sqrt(pivot);
  }
  return true;
}

// The inverse of a lower triangular matrix, row by row.
std::vector<double> InvertLower(const std::vector<double>& lower, size_t n) {
  std::vector<double> inverse(n * n, 0.0);
  for (size_t i = 0; i < n; ++i) {
    double* const row = inverse.data() + i * n;
    row[i] = 1;
    for (size_t k = 0; k < i; ++k) SubtractScaled(lower[i * n + k], inverse.data() + k * n, k + 1, row);
    for (size_t k = 0; k <= i; ++k) row[k] /= lower[i * n + i];
  }
  return inverse;
}

// The scales that are tried, as shares of the one that clips nothing. At eight bits a channel's best is rarely below.
constexpr float kClippedScales[] = {1, 0.97f, 0.94f, 0.9f, 0.85f, 0.8f};

// One output channel, overwriting the weights with what is left of them. upper: U of InverseFactor, in f32. Returns the
// squared error of the outputs that rounding each weight adds beyond what later ones can make good.
double RoundChannel(std::span<float> weights, const std::vector<float>& upper, float scale, int8_t* q) {
  const size_t n = weights.size();
  const float factor = 1.0f / scale;
  double loss = 0;
  for (size_t i = 0; i < n; ++i) {
    q[i] = static_cast<int8_t>(std::clamp(std::lrintf(weights[i] * factor), -127L, 127L));
    const float* const row = upper.data() + i * n;
    const float error = (weights[i] - scale * static_cast<float>(q[i])) / row[i];
    loss += static_cast<double>(error) * static_cast<double>(error);
    SubtractScaled(error, row + i + 1, n - i - 1, weights.data() + i + 1);
  }
  return loss;
}

// Rounds a channel with the scale, among those tried, that loses least. q: [weights.size()]; returns the scale.
class ChannelRounder {
 public:
  ChannelRounder(const std::vector<float>& upper, bool clipping_search)
      : upper_(upper), num_scales_(clipping_search ? std::size(kClippedScales) : 1) {}

  float Round(std::span<const float> weights, int8_t* q) {
    const float whole = kernels::QuantizeChannelS8(weights, q);
    double least = std::numeric_limits<double>::infinity();
    float best = whole;
    tried_.resize(weights.size());
    for (const float share : std::span(kClippedScales).first(num_scales_)) {
      remaining_.assign(weights.begin(), weights.end());
      const double loss = RoundChannel(remaining_, upper_, whole * share, tried_.data());
      if (loss >= least) continue;
      least = loss;
      best = whole * share;
      std::copy(tried_.begin(), tried_.end(), q);
    }
    return best;
  }

 private:
  const std::vector<float>& upper_;
  const size_t num_scales_;
  std::vector<float> remaining_;
  std::vector<int8_t> tried_;
};

}  // namespace

absl::StatusOr<std::vector<double>> InverseFactor(std::vector<double> moments, size_t n) {
  double trace = 0;
  for (size_t i = 0; i < n; ++i) trace += moments[i * n + i];
  const double damping = trace > 0 ? kDamping * trace / static_cast<double>(n) : 1.0;
  // With rows and columns in reverse order, L L^T = reversed gives R = L reversed, upper triangular, and moments =
  // R R^T: so U = R^-1, which is L^-1 reversed.
  std::reverse(moments.begin(), moments.end());
  for (size_t i = 0; i < n; ++i) moments[i * n + i] += damping;
  if (!FactorLower(moments, n)) return absl::InternalError("second moments of a layer's inputs cannot be factored");
  std::vector<double> upper = InvertLower(moments, n);
  std::reverse(upper.begin(), upper.end());
  return upper;
}

RoundedWeights RoundToNearest(std::span<const float> weights, size_t in_dim) {
  RoundedWeights rounded{.values = std::vector<int8_t>(weights.size()),
                         .scales = std::vector<float>(weights.size() / in_dim)};
  for (size_t j = 0; j < rounded.scales.size(); ++j) {
    rounded.scales[j] =
        kernels::QuantizeChannelS8(weights.subspan(j * in_dim, in_dim), rounded.values.data() + j * in_dim);
  }
  return rounded;
}

absl::StatusOr<RoundedWeights> RoundWithCompensation(std::span<const float> weights, size_t in_dim,
                                                     std::span<const float> inputs, const RoundingOptions& options) {
  ASSIGN_OR_RETURN(const std::vector<double> factor, InverseFactor(SecondMoments(inputs, in_dim), in_dim));
  const std::vector<float> upper(factor.begin(), factor.end());
  const size_t out_dim = weights.size() / in_dim;
  RoundedWeights rounded{.values = std::vector<int8_t>(weights.size()), .scales = std::vector<float>(out_dim)};
  kernels::ThreadTeam team(options.num_threads);
  team.Run([&](int thread_idx) {
    ChannelRounder rounder(upper, options.clipping_search);
    for (auto j = static_cast<size_t>(thread_idx); j < out_dim; j += static_cast<size_t>(options.num_threads)) {
      rounded.scales[j] = rounder.Round(weights.subspan(j * in_dim, in_dim), rounded.values.data() + j * in_dim);
    }
  });
  return rounded;
}

}  // namespace octet::model
