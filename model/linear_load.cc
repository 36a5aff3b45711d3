#include "model/linear_load.h"

#include <algorithm>
#include <cmath>
#include <span>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "base/check.h"
#include "base/status_macros.h"
#include "model/encoder_state.h"
#include "model/quote.h"

namespace octet::model {
namespace {

using kernels::InputFormat;
using kernels::LinearKind;
using kernels::RowRange;

absl::Status TensorError(const std::string& name, absl::string_view message) {
  return absl::InvalidArgumentError(absl::StrCat("tensor ", Quote(name), ": ", message));
}

absl::Status CheckPositive(const std::string& name, std::span<const float> values) {
  if (std::all_of(values.begin(), values.end(), [](float v) { return std::isnormal(v) && v > 0; })) {
    return absl::OkStatus();
  }
  return TensorError(name, "holds a value that is not a positive normal number");
}

bool SameInput(const InputFormat& a, const InputFormat& b) {
  return a.fixed.scale == b.fixed.scale && a.fixed.zero_point == b.fixed.zero_point && a.factors == b.factors;
}

// There are some, and multiplying by any is exact.
bool ArePowersOfTwo(std::span<const float> factors) {
  int exponent = 0;
  return !factors.empty() &&
         std::all_of(factors.begin(), factors.end(), [&](float f) { return std::frexp(f, &exponent) == 0.5f; });
}

std::string NameInLayer(const std::string& pattern, size_t layer_idx) {
  return absl::StrReplaceAll(pattern, {{"{}", absl::StrCat(layer_idx)}});
}

// [out_dim], of all parts.
absl::StatusOr<AlignedBuffer<float>> ReadBias(const std::vector<std::string>& names, uint64_t out_dim,
                                              Weights* weights) {
  AlignedBuffer<float> bias(out_dim, Lifetime::kShort);
  const uint64_t part_out = out_dim / names.size();
  for (size_t part = 0; part < names.size(); ++part) {
    RETURN_IF_ERROR(weights->ReadF32(absl::StrCat(names[part], ".bias"), std::span(&part_out, 1),
                                     bias.span().subspan(part * part_out, part_out)));
  }
  return bias;
}

}  // namespace

LinearShape ShapeOfLinear(const EncoderConfig& config, size_t linear_idx) {
  const uint64_t hidden = config.hidden_dim, intermediate = config.intermediate_dim;
  switch (static_cast<LinearSlot>(linear_idx % kLinearsPerLayer)) {
    case LinearSlot::kQueryKeyValue:
      return {hidden, 3 * hidden};
    case LinearSlot::kAttentionOutput:
      return {hidden, hidden};
    case LinearSlot::kIntermediate:
      return {hidden, intermediate};
    case LinearSlot::kOutput:
      return {intermediate, hidden};
  }
  return {};
}

std::string NormInFront(const EncoderConfig& config, size_t linear_idx) {
  const TensorNames& names = TensorNamesOf(config.family);
  const size_t layer_idx = linear_idx / kLinearsPerLayer;
  switch (static_cast<LinearSlot>(linear_idx % kLinearsPerLayer)) {
    case LinearSlot::kQueryKeyValue:
      return layer_idx == 0 ? names.embedding_norm : NameInLayer(names.output_norm, layer_idx - 1);
    case LinearSlot::kIntermediate:
      return NameInLayer(names.attention_norm, layer_idx);
    case LinearSlot::kAttentionOutput:
    case LinearSlot::kOutput:
      break;
  }
  return "";
}

std::vector<std::string> NamesOfLinear(const EncoderConfig& config, size_t linear_idx) {
  const TensorNames& names = TensorNamesOf(config.family);
  const auto name = [&](const std::string& pattern) { return NameInLayer(pattern, linear_idx / kLinearsPerLayer); };
  switch (static_cast<LinearSlot>(linear_idx % kLinearsPerLayer)) {
    case LinearSlot::kQueryKeyValue:
      return {name(names.query), name(names.key), name(names.value)};
    case LinearSlot::kAttentionOutput:
      return {name(names.attention_output)};
    case LinearSlot::kIntermediate:
      return {name(names.intermediate)};
    case LinearSlot::kOutput:
      return {name(names.output)};
  }
  return {};
}

LinearKind KindOfLinear(const EncoderConfig& config, const EncoderOptions& options, size_t linear_idx) {
  if (config.quantization) {
    const std::string name = NamesOfLinear(config, linear_idx).front();
    return config.quantization->IsQuantized(name) ? LinearKind::kInt8 : LinearKind::kF32;
  }
  if (options.plan != nullptr) return options.plan->linears[linear_idx].input.kind;
  return LinearKindOf(options.precision);
}

absl::StatusOr<OwnedLinear> ReadOwnedLinear(const EncoderConfig& config, size_t linear_idx, Weights* weights) {
  const LinearShape shape = ShapeOfLinear(config, linear_idx);
  const std::vector<std::string> names = NamesOfLinear(config, linear_idx);
  OwnedLinear linear{.in_dim = shape.in_dim,
                     .out_dim = shape.out_dim,
                     .weights = AlignedBuffer<float>(shape.in_dim * shape.out_dim, Lifetime::kShort),
                     .bias = {}};
  const uint64_t part_out = shape.out_dim / names.size(), part_size = part_out * shape.in_dim;
  for (size_t part = 0; part < names.size(); ++part) {
    const uint64_t dims[] = {part_out, shape.in_dim};
    RETURN_IF_ERROR(weights->ReadF32(absl::StrCat(names[part], ".weight"), dims,
                                     linear.weights.span().subspan(part * part_size, part_size)));
  }
  ASSIGN_OR_RETURN(linear.bias, ReadBias(names, shape.out_dim, weights));
  return linear;
}

void DivideByFactors(std::span<const float> factors, std::span<float> weights) {
  if (factors.empty()) return;
  for (size_t begin = 0; begin < weights.size(); begin += factors.size()) {
    for (size_t c = 0; c < factors.size(); ++c) weights[begin + c] /= factors[c];
  }
}

absl::StatusOr<LoadedLinear> LinearLoader::Load(size_t linear_idx) {
  const std::vector<std::string> names = NamesOfLinear(config_, linear_idx);
  InputFormat input{.kind = KindOfLinear(config_, options_, linear_idx)};
  if (config_.quantization) {
    for (const std::string& name : names) {
      if (config_.quantization->IsQuantized(name) != (input.kind == LinearKind::kInt8)) {
        return absl::InvalidArgumentError(
            absl::StrCat("config.json: quantization_config: ignore: has some but not all of ", Quote(names[0]), ", ",
                         Quote(names[1]), ", ", Quote(names[2]), ", which are computed together"));
      }
    }
    if (input.kind == LinearKind::kInt8) return LoadQuantized(linear_idx, names);
    const bool is_bf16 = std::all_of(names.begin(), names.end(), [this](const std::string& name) {
      const auto weight = weights_.tensors().find(absl::StrCat(name, ".weight"));
      return weight != weights_.tensors().end() && weight->second.dtype == DType::kBf16;
    });
    if (is_bf16 && kernels::LinearFactory::CheckKind(LinearKind::kBf16, options_.isa).ok()) {
      input.kind = LinearKind::kBf16;
    }
  } else if (options_.plan != nullptr) {
    const LinearPlan& plan = options_.plan->linears[linear_idx];
    if (!plan.weights.empty()) return MakePlanned(linear_idx, plan);
    input = plan.input;
  }
  return LoadFloats(linear_idx, std::move(input));
}

absl::StatusOr<LoadedLinear> LinearLoader::LoadFloats(size_t linear_idx, InputFormat input) {
  ASSIGN_OR_RETURN(OwnedLinear linear, ReadOwnedLinear(config_, linear_idx, &weights_));
  DivideByFactors(input.factors, linear.weights.span());
  return Make(
      linear_idx,
      {.in_dim = linear.in_dim, .out_dim = linear.out_dim, .bias = linear.bias.span(), .f32 = linear.weights.span()},
      std::move(input));
}

absl::StatusOr<LoadedLinear> LinearLoader::LoadQuantized(size_t linear_idx, const std::vector<std::string>& names) {
  const LinearShape shape = ShapeOfLinear(config_, linear_idx);
  const uint64_t part_out = shape.out_dim / names.size(), part_size = part_out * shape.in_dim;
  AlignedBuffer<int8_t> values(shape.out_dim * shape.in_dim, Lifetime::kShort);
  AlignedBuffer<float> scales(shape.out_dim, Lifetime::kShort);
  InputFormat input;
  for (size_t part = 0; part < names.size(); ++part) {
    const std::string& name = names[part];
    const uint64_t dims[] = {part_out, shape.in_dim};
    RETURN_IF_ERROR(
        weights_.ReadS8(absl::StrCat(name, ".weight"), dims, values.span().subspan(part * part_size, part_size)));
    RETURN_IF_ERROR(ReadScales(absl::StrCat(name, ".weight_scale"), scales.span().subspan(part * part_out, part_out)));
    ASSIGN_OR_RETURN(InputFormat part_input, ReadInputFormat(name, shape.in_dim));
    if (part == 0) {
      input = std::move(part_input);
    } else if (!SameInput(input, part_input)) {
      return TensorError(absl::StrCat(name, ".input_scale"),
                         absl::StrCat("differs from that of ", Quote(names[0]), ", which has the same input"));
    }
  }
  ASSIGN_OR_RETURN(const AlignedBuffer<float> bias, ReadBias(names, shape.out_dim, &weights_));
  return Make(linear_idx,
              {.in_dim = shape.in_dim,
               .out_dim = shape.out_dim,
               .bias = bias.span(),
               .s8 = values.span(),
               .scales = scales.span()},
              std::move(input));
}

absl::StatusOr<LoadedLinear> LinearLoader::MakePlanned(size_t linear_idx, const LinearPlan& plan) {
  const LinearShape shape = ShapeOfLinear(config_, linear_idx);
  OCTET_CHECK(plan.weights.size() == shape.in_dim * shape.out_dim);
  return Make(
      linear_idx,
      {.in_dim = shape.in_dim, .out_dim = shape.out_dim, .bias = plan.bias, .s8 = plan.weights, .scales = plan.scales},
      plan.input);
}

absl::StatusOr<LoadedLinear> LinearLoader::Make(size_t linear_idx, const kernels::LinearWeights& weights,
                                                InputFormat input) {
  if (std::all_of(input.factors.begin(), input.factors.end(), [](float f) { return f == 1; })) input.factors.clear();
  LoadedLinear loaded;
  if (!NormInFront(config_, linear_idx).empty() && ArePowersOfTwo(input.factors)) {
    loaded.norm_factors = std::exchange(input.factors, {});
  }
  const size_t num_parts = NamesOfLinear(config_, linear_idx).size(), part_out = weights.out_dim / num_parts;
  for (size_t begin = 0; begin < weights.out_dim; begin += part_out) {
    kernels::LinearWeights part{
        .in_dim = weights.in_dim, .out_dim = part_out, .bias = weights.bias.subspan(begin, part_out)};
    if (weights.s8.empty()) {
      part.f32 = weights.f32.subspan(begin * weights.in_dim, part_out * weights.in_dim);
    } else {
      part.s8 = weights.s8.subspan(begin * weights.in_dim, part_out * weights.in_dim);
      part.scales = weights.scales.subspan(begin, part_out);
    }
    ASSIGN_OR_RETURN(auto linear, factory_.MakeLinear(part, input));
    loaded.parts.push_back(std::move(linear));
  }
  return loaded;
}

absl::Status LinearLoader::ReadScales(const std::string& name, std::span<float> scales) {
  const auto found = weights_.tensors().find(name);
  if (found == weights_.tensors().end()) return TensorError(name, "missing");
  const std::vector<uint64_t> shape = found->second.shape;  // [out_dim, 1], [out_dim] or one value
  uint64_t num_values = 1;
  for (const uint64_t dim : shape) num_values *= dim;  // of a checked file: no overflow
  const bool is_plain = shape.size() <= 2 && (shape.size() < 2 || shape[1] == 1);
  if (!is_plain || (num_values != 1 && num_values != scales.size())) {
    return TensorError(name, absl::StrCat("shape ", ShapeString(shape), ", expected [", scales.size(), ", 1] or [1]"));
  }
  RETURN_IF_ERROR(weights_.ReadF32(name, shape, scales.first(num_values)));
  if (num_values == 1) std::fill(scales.begin(), scales.end(), scales[0]);
  // Below the normal numbers the scale of a product may vanish.
  return CheckPositive(name, scales);
}

absl::StatusOr<float> LinearLoader::ReadScalar(const std::string& name) {
  float value = 0;
  RETURN_IF_ERROR(ReadScales(name, std::span(&value, 1)));
  return value;
}

absl::StatusOr<InputFormat> LinearLoader::ReadInputFormat(const std::string& name, uint64_t in_dim) {
  const StoredQuantization& stored = *config_.quantization;
  InputFormat input{.range = stored.activation_range};
  if (input.range == RowRange::kFixed) {
    ASSIGN_OR_RETURN(input.fixed.scale, ReadScalar(absl::StrCat(name, ".input_scale")));
    // Stored for signed values; ours are unsigned. Symmetric schemes store none, or zero.
    const std::string zero_point = absl::StrCat(name, ".input_zero_point");
    int8_t value = 0;
    if (const auto found = weights_.tensors().find(zero_point); found != weights_.tensors().end()) {
      const std::vector<uint64_t> shape = found->second.shape;
      if (found->second.end - found->second.begin != 1) {
        return TensorError(zero_point, absl::StrCat("shape ", ShapeString(shape), ", expected [1]"));
      }
      RETURN_IF_ERROR(weights_.ReadS8(zero_point, shape, std::span(&value, 1)));
    }
    input.fixed.zero_point = value + 128;
  }
  if (stored.has_factors()) {
    input.factors.resize(in_dim);
    const std::string factors = absl::StrCat(name, ".input_factors");
    RETURN_IF_ERROR(weights_.ReadF32(factors, std::span(&in_dim, 1), input.factors));
    RETURN_IF_ERROR(CheckPositive(factors, input.factors));
  }
  return input;
}

}  // namespace octet::model
