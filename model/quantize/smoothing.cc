#include "model/quantize/smoothing.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <utility>

#include "base/status_macros.h"
#include "model/value_range.h"

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

double Square(float x) { return static_cast<double>(x) * static_cast<double>(x); }

// Of each column of [rows, dim].
std::vector<double> SquaresOfColumns(std::span<const float> values, size_t dim) {
  std::vector<double> squares(dim);
  for (size_t begin = 0; begin < values.size(); begin += dim) {
    for (size_t c = 0; c < dim; ++c) squares[c] += Square(values[begin + c]);
  }
  return squares;
}

// The error to expect of a layer for rows like these.
class ExpectedError {
 public:
  ExpectedError(std::span<const float> rows, const OwnedLinear& linear)
      : rows_(rows),
        linear_(linear),
        row_squares_(SquaresOfColumns(rows, linear.in_dim)),
        weight_squares_(SquaresOfColumns(linear.weights.span(), linear.in_dim)) {}

  // Mean square over rows and outputs. factors: [in_dim].
  double Of(const std::vector<float>& factors) const {
    const size_t dim = factors.size();
    std::vector<float> divisors(dim);
    double row_squares = 0, weight_squares = 0;
    for (size_t c = 0; c < dim; ++c) {
      divisors[c] = 1.0f / factors[c];
      row_squares += row_squares_[c] * Square(factors[c]);
      weight_squares += weight_squares_[c] * Square(divisors[c]);
    }
    double row_steps = 0, weight_steps = 0;  // sums of squares
    for (size_t begin = 0; begin < rows_.size(); begin += dim) {
      const ValueRange range = RangeOf(rows_.subspan(begin, dim), factors.data());
      row_steps += Square((range.max - range.min) / 255);
    }
    for (size_t j = 0; j < linear_.out_dim; ++j) {
      const ValueRange range = RangeOf(linear_.weights.span().subspan(j * dim, dim), divisors.data());
      weight_steps += Square(std::max(-range.min, range.max) / 127);
    }
    const auto num_rows = static_cast<double>(rows_.size() / dim);
    return (row_steps * weight_squares + row_squares * weight_steps) / 12 / num_rows /
           static_cast<double>(linear_.out_dim);
  }

 private:
  const std::span<const float> rows_;
  const OwnedLinear& linear_;
  const std::vector<double> row_squares_, weight_squares_;
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
