#include "model/quantize/loaded_plan.h"

#include <algorithm>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "model/linear_load.h"
#include "model/quantize/weight_rounding.h"

namespace octet::model {
namespace {

// One value for each output channel, or one for all of them: the loader has checked which. values: [out_dim].
absl::Status ReadChannelValues(const std::string& name, Weights* weights, std::span<float> values) {
  const std::vector<uint64_t> shape = weights->tensors().at(name).shape;
  size_t num_stored = 1;
  for (const uint64_t dim : shape) num_stored *= dim;
  RETURN_IF_ERROR(weights->ReadF32(name, shape, values.first(num_stored)));
  if (num_stored == 1) std::fill(values.begin(), values.end(), values[0]);
  return absl::OkStatus();
}

absl::Status ReadStored(const EncoderConfig& config, size_t linear_idx, Weights* weights, LinearPlan* plan) {
  const LinearShape shape = ShapeOfLinear(config, linear_idx);
  const std::vector<std::string> names = NamesOfLinear(config, linear_idx);
  const uint64_t part_out = shape.out_dim / names.size(), part_size = part_out * shape.in_dim;
  plan->weights.resize(shape.out_dim * shape.in_dim);
  plan->scales.resize(shape.out_dim);
  plan->bias.resize(shape.out_dim);
  for (size_t part = 0; part < names.size(); ++part) {
    const uint64_t dims[] = {part_out, shape.in_dim};
    RETURN_IF_ERROR(weights->ReadS8(absl::StrCat(names[part], ".weight"), dims,
                                    std::span(plan->weights).subspan(part * part_size, part_size)));
    RETURN_IF_ERROR(ReadChannelValues(absl::StrCat(names[part], ".weight_scale"), weights,
                                      std::span(plan->scales).subspan(part * part_out, part_out)));
    RETURN_IF_ERROR(ReadChannelValues(absl::StrCat(names[part], ".bias"), weights,
                                      std::span(plan->bias).subspan(part * part_out, part_out)));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<LoadedPlan> ReadLoadedPlan(const EncoderConfig& config, const EncoderOptions& options, size_t linear_idx,
                                          Weights* weights, kernels::LinearFactory* factory) {
  ASSIGN_OR_RETURN(LoadedLinear linear, LinearLoader(&config, &options, weights, factory).Load(linear_idx));
  LoadedPlan loaded{.plan = {.input = linear.parts.front()->input()},
                    .bytes = linear.norm_factors.size() * sizeof(float)};
  for (const auto& part : linear.parts) loaded.bytes += part->bytes();
  if (!linear.norm_factors.empty()) loaded.plan.input.factors = std::move(linear.norm_factors);
  if (loaded.plan.input.kind != kernels::LinearKind::kInt8) return loaded;
  if (config.quantization) {
    RETURN_IF_ERROR(ReadStored(config, linear_idx, weights, &loaded.plan));
    return loaded;
  }
  ASSIGN_OR_RETURN(OwnedLinear floats, ReadOwnedLinear(config, linear_idx, weights));
  DivideByFactors(loaded.plan.input.factors, floats.weights.span());
  RoundedWeights rounded = RoundToNearest(floats.weights.span(), floats.in_dim);
  loaded.plan.weights = std::move(rounded.values);
  loaded.plan.scales = std::move(rounded.scales);
  loaded.plan.bias.assign(floats.bias.span().begin(), floats.bias.span().end());
  return loaded;
}

}  // namespace octet::model
