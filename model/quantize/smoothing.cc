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

double Square(float x) { return static_cast<double>(x) * static_cast<double>(x); }

// The error to expect of a layer for rows like these.
class ExpectedError {
 public:
  ExpectedError(std::span<const float> rows, const OwnedLinear& linear)
      : rows_(rows), linear_(linear), column_squares_(linear.in_dim) {
    for (size_t j = 0; j < linear.out_dim; ++j) {
      const float* const channel = linear.weights.data() + j * linear.in_dim;
      for (size_t c = 0; c < linear.in_dim; ++c) column_squares_[c] += Square(channel[c]);
    }
  }

  // Mean square over rows and outputs. factors: [in_dim].
  double Of(const std::vector<float>& factors) const {
    std::vector<float> divisors(factors.size());
    double weight_squares = 0;
    for (size_t c = 0; c < factors.size(); ++c) {
      divisors[c] = 1.0f / factors[c];
      weight_squares += column_squares_[c] * Square(divisors[c]);
    }
    double input_steps = 0, input_squares = 0;  // sums of squares
    for (size_t begin = 0; begin < rows_.size(); begin += factors.size()) {
      float low = 0, high = 0;  // as ranges of rows, which hold zero
      for (size_t c = 0; c < factors.size(); ++c) {
        const float x = rows_[begin + c] * factors[c];
        low = std::min(low, x);
        high = std::max(high, x);
        input_squares += Square(x);
      }
      input_steps += Square((high - low) / 255);
    }
    double weight_steps = 0;
    for (size_t j = 0; j < linear_.out_dim; ++j) {
      weight_steps += Square(LargestProduct(linear_.weights.data() + j * linear_.in_dim, divisors) / 127);
    }
    const double num_rows = static_cast<double>(rows_.size() / factors.size());
    return (input_steps * weight_squares + input_squares * weight_steps) / 12 / num_rows /
           static_cast<double>(linear_.out_dim);
  }

 private:
  const std::span<const float> rows_;
  const OwnedLinear& linear_;
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

SmoothingChoice ChooseSmoothingByRows(std::span<const float> rows, const OwnedLinear& linear) {
  const ExpectedError error(rows, linear);
  SmoothingChoice best;
  best.error = best.error_without = error.Of(std::vector<float>(linear.in_dim, 1.0f));
  const std::vector<float> input_max = ColumnMax(rows, linear.in_dim);
  const std::vector<float> weight_max = ColumnMax(linear.weights.span(), linear.in_dim);
  for (const double alpha : kStrengths) {
    std::vector<float> factors = SmoothingFactors(input_max, weight_max, alpha);
    const double expected = error.Of(factors);
    if (expected < best.error) best = {std::move(factors), alpha, expected, best.error_without};
  }
  return best;
}

}  // namespace octet::model
