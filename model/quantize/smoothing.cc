#include "model/quantize/smoothing.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <utility>

#include "base/status_macros.h"

namespace octet::model {
namespace {

// Finer steps change the error of no layer of the models measured by more than a few percent.
constexpr double kStrengths[] = {0.2, 0.3, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9};

// Zeros become the smallest value that is none.
std::vector<float> WithoutZeros(std::span<const float> values) {
  float smallest = 0;
  for (const float v : values) {
    if (v > 0 && (smallest == 0 || v < smallest)) smallest = v;
  }
  if (smallest == 0) smallest = 1;
  std::vector<float> result(values.begin(), values.end());
  std::replace(result.begin(), result.end(), 0.0f, smallest);
  return result;
}

// max |a[c] * b[c]|, in lanes, because each maximum waits for the one before.
float LargestProduct(const float* a, std::span<const float> b) {
  constexpr size_t kLanes = 16;
  float lanes[kLanes] = {};
  size_t c = 0;
  for (; c + kLanes <= b.size(); c += kLanes) {
    for (size_t i = 0; i < kLanes; ++i) lanes[i] = std::max(lanes[i], std::abs(a[c + i] * b[c + i]));
  }
  for (; c < b.size(); ++c) lanes[0] = std::max(lanes[0], std::abs(a[c] * b[c]));
  return *std::max_element(std::begin(lanes), std::end(lanes));
}

// The error that a layer behind a LayerNorm may expect.
class ErrorBehindNorm {
 public:
  ErrorBehindNorm(std::span<const float> gamma, std::span<const float> beta, const OwnedLinear& linear)
      : gamma_(gamma),
        beta_(beta),
        linear_(linear),
        reach_(ChannelMaxOfNorm(gamma, beta)),
        column_squares_(linear.in_dim) {
    for (size_t j = 0; j < linear.out_dim; ++j) {
      const float* const channel = linear.weights.data() + j * linear.in_dim;
      for (size_t c = 0; c < linear.in_dim; ++c) column_squares_[c] += Square(channel[c]);
    }
  }

  const std::vector<float>& reach() const { return reach_; }

  // Mean square over outputs. factors: [in_dim].
  double Of(const std::vector<float>& factors) const {
    float most = 0;
    double mean_square = 0, squares = 0;
    std::vector<float> divisors(factors.size());
    for (size_t c = 0; c < factors.size(); ++c) {
      most = std::max(most, factors[c] * reach_[c]);
      mean_square += Square(factors[c] * gamma_[c]) + Square(factors[c] * beta_[c]);
      divisors[c] = 1.0f / factors[c];
      squares += column_squares_[c] * Square(divisors[c]);
    }
    double error = Square(2 * most / 255) * squares;
    for (size_t j = 0; j < linear_.out_dim; ++j) {
      const float* const channel = linear_.weights.data() + j * linear_.in_dim;
      error += Square(LargestProduct(channel, divisors) / 127) * mean_square;
    }
    return error / 12 / static_cast<double>(linear_.out_dim);
  }

 private:
  static double Square(float x) { return static_cast<double>(x) * static_cast<double>(x); }

  const std::span<const float> gamma_, beta_;
  const OwnedLinear& linear_;
  const std::vector<float> reach_;
  std::vector<double> column_squares_;
};

}  // namespace

std::vector<float> SmoothingFactors(std::span<const float> input_max, std::span<const float> weight_max, double alpha) {
  const std::vector<float> x = WithoutZeros(input_max), w = WithoutZeros(weight_max);
  std::vector<double> logs(x.size());
  double mean = 0;
  for (size_t c = 0; c < logs.size(); ++c) {
    logs[c] = (1 - alpha) * std::log(static_cast<double>(w[c])) - alpha * std::log(static_cast<double>(x[c]));
    mean += logs[c] / static_cast<double>(logs.size());
  }
  // Further apart than this, a factor is an accident of a channel that was nearly silent in calibration.
  constexpr double kMaxLog = 9;  // 8,000
  std::vector<float> factors(x.size());
  for (size_t c = 0; c < logs.size(); ++c) {
    const double log = std::clamp(logs[c] - mean, -kMaxLog, kMaxLog);
    factors[c] = static_cast<float>(std::exp2(std::round(log / std::numbers::ln2)));
  }
  return factors;
}

std::vector<float> ColumnMax(std::span<const float> values, size_t dim) {
  std::vector<float> max(dim, 0);
  for (size_t begin = 0; begin < values.size(); begin += dim) {
    for (size_t c = 0; c < dim; ++c) max[c] = std::max(max[c], std::abs(values[begin + c]));
  }
  return max;
}

std::vector<float> ChannelMax(const LinearInputs& inputs) { return ColumnMax(inputs.rows, inputs.dim); }

std::vector<float> ChannelMaxOfNorm(std::span<const float> gamma, std::span<const float> beta) {
  std::vector<float> max(gamma.size());
  for (size_t c = 0; c < max.size(); ++c) max[c] = std::abs(beta[c]) + 3 * std::abs(gamma[c]);
  return max;
}

absl::StatusOr<SmoothingChoice> ChooseSmoothing(
    std::span<const float> input_max, const OwnedLinear& linear,
    const std::function<kernels::InputFormat(std::vector<float> factors)>& format_of, LinearTrial* trial) {
  SmoothingChoice best;
  ASSIGN_OR_RETURN(best.error_without, trial->ErrorOf(format_of({})));
  best.error = best.error_without;
  const std::vector<float> weight_max = ColumnMax(linear.weights.span(), linear.in_dim);
  for (const double alpha : kStrengths) {
    std::vector<float> factors = SmoothingFactors(input_max, weight_max, alpha);
    ASSIGN_OR_RETURN(const double error, trial->ErrorOf(format_of(factors)));
    if (error < best.error) {
      best.factors = std::move(factors);
      best.alpha = alpha;
      best.error = error;
    }
  }
  return best;
}

SmoothingChoice ChooseSmoothingBehindNorm(std::span<const float> gamma, std::span<const float> beta,
                                          const OwnedLinear& linear) {
  const ErrorBehindNorm error(gamma, beta, linear);
  SmoothingChoice best;
  best.error = best.error_without = error.Of(std::vector<float>(gamma.size(), 1.0f));
  const std::vector<float> weight_max = ColumnMax(linear.weights.span(), linear.in_dim);
  for (const double alpha : kStrengths) {
    std::vector<float> factors = SmoothingFactors(error.reach(), weight_max, alpha);
    const double expected = error.Of(factors);
    if (expected < best.error) best = {std::move(factors), alpha, expected, best.error_without};
  }
  return best;
}

}  // namespace octet::model
