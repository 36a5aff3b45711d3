#include "model/quantize/linear_trial.h"

#include <algorithm>

#include "base/cosine.h"
#include "base/rounding.h"
#include "base/status_macros.h"
#include "kernels/int8_matmul.h"

namespace octet::model {

using kernels::InputBlock;
using kernels::InputFormat;
using kernels::LinearWeights;

LinearTrial::LinearTrial(Isa isa, const OwnedLinear& linear, const LinearInputs& inputs, size_t max_rows)
    : isa_(isa), linear_(linear) {
  const size_t step = std::max<size_t>(1, DivideUp(inputs.num_rows(), max_rows));
  double sum = 0;
  for (size_t r = 0; r < inputs.num_rows(); r += step) {
    rows_.push_back(inputs.row(r));
    weights_.push_back(static_cast<double>(inputs.weights[r]));
    sum += weights_.back();
  }
  for (double& weight : weights_) weight /= sum;
}

absl::StatusOr<std::vector<float>> LinearTrial::Compute(const LinearWeights& weights, const InputFormat& input) const {
  kernels::LinearFactory factory(isa_);
  ASSIGN_OR_RETURN(const auto linear, factory.MakeLinear(weights, input));
  InputBlock block(&factory.kernels(), kernels::kMaxProductRows, InputBlock::RowBytes(input.kind, linear_.in_dim));
  kernels::OutputBlock product(factory);
  block.Start(linear->input(), linear_.in_dim);
  std::vector<float> outputs(rows_.size() * linear_.out_dim);
  for (size_t begin = 0; begin < rows_.size(); begin += kernels::kMaxProductRows) {
    const size_t size = std::min(kernels::kMaxProductRows, rows_.size() - begin);
    for (size_t r = 0; r < size; ++r) block.SetRows(r, 1, rows_[begin + r].data());
    linear->Multiply(block, 0, size, &product);
    linear->StoreRows(block, &product, 0, size, outputs.data() + begin * linear_.out_dim);
  }
  return outputs;
}

absl::Status LinearTrial::ComputeReference() {
  if (!reference_.empty()) return absl::OkStatus();
  const LinearWeights weights{
      .in_dim = linear_.in_dim, .out_dim = linear_.out_dim, .bias = linear_.bias.span(), .f32 = linear_.weights.span()};
  ASSIGN_OR_RETURN(reference_, Compute(weights, {.kind = kernels::LinearKind::kF32}));
  return absl::OkStatus();
}

absl::StatusOr<double> LinearTrial::ErrorOf(const InputFormat& input) {
  std::vector<float> weights(linear_.weights.span().begin(), linear_.weights.span().end());
  DivideByFactors(input.factors, weights);
  return ErrorOf({.in_dim = linear_.in_dim, .out_dim = linear_.out_dim, .bias = linear_.bias.span(), .f32 = weights},
                 input);
}

absl::StatusOr<double> LinearTrial::ErrorOf(const LinearWeights& weights, const InputFormat& input) {
  RETURN_IF_ERROR(ComputeReference());
  ASSIGN_OR_RETURN(std::vector<float> outputs, Compute(weights, input));
  for (size_t i = 0; i < outputs.size(); ++i) outputs[i] -= reference_[i];
  return MeanSquare(outputs);
}

absl::StatusOr<double> LinearTrial::MeanCosineOf(const LinearWeights& weights, const InputFormat& input) {
  RETURN_IF_ERROR(ComputeReference());
  ASSIGN_OR_RETURN(const std::vector<float> outputs, Compute(weights, input));
  const size_t dim = linear_.out_dim;
  double mean = 0;
  for (size_t r = 0; r < rows_.size(); ++r) {
    mean += weights_[r] * Cosine(std::span(reference_).subspan(r * dim, dim), std::span(outputs).subspan(r * dim, dim));
  }
  return mean;
}

absl::StatusOr<std::vector<float>> LinearTrial::MeanDifference(const LinearWeights& weights, const InputFormat& input) {
  RETURN_IF_ERROR(ComputeReference());
  ASSIGN_OR_RETURN(const std::vector<float> outputs, Compute(weights, input));
  std::vector<double> sums(linear_.out_dim);
  for (size_t i = 0; i < outputs.size(); ++i) {
    const double difference = static_cast<double>(outputs[i]) - static_cast<double>(reference_[i]);
    sums[i % linear_.out_dim] += weights_[i / linear_.out_dim] * difference;
  }
  return std::vector<float>(sums.begin(), sums.end());
}

double LinearTrial::MeanSquareOfReference() const { return MeanSquare(reference_); }

double LinearTrial::MeanSquare(std::span<const float> values) const {
  double sum = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    sum += weights_[i / linear_.out_dim] * static_cast<double>(values[i]) * static_cast<double>(values[i]);
  }
  return sum / static_cast<double>(linear_.out_dim);
}

}  // namespace octet::model
