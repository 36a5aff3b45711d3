// Encoder::Load: tensors to packed layers, one at a time.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "base/check.h"
#include "base/status_macros.h"
#include "model/encoder.h"
#include "model/encoder_state.h"
#include "model/linear_load.h"

namespace octet::model {
namespace {

using kernels::InputBlock;
using kernels::LinearFactory;
using kernels::LinearKind;

// Reads the tensors of one encoder in the order in which they are packed.
class Loader {
 public:
  Loader(EncoderState* state, Weights* weights, const std::function<void(uint64_t)>& progress)
      : state_(*state),
        config_(state->config),
        names_(TensorNamesOf(config_.family)),
        weights_(*weights),
        linear_loader_(&config_, &state->options, weights, state->linears.get()),
        progress_(progress) {}

  absl::Status LoadAll() {
    ASSIGN_OR_RETURN(state_.word, Table(names_.word_embeddings, config_.vocab_size));
    ASSIGN_OR_RETURN(state_.position, Table(names_.position_embeddings, config_.num_positions));
    if (config_.num_token_types > 0) {
      ASSIGN_OR_RETURN(state_.token_type, Table(names_.token_type_embeddings, config_.num_token_types));
    }
    RETURN_IF_ERROR(Norm(names_.embedding_norm, &state_.embedding_norm));
    for (uint32_t i = 0; i < config_.num_layers; ++i) {
      EncoderLayer layer;
      RETURN_IF_ERROR(Layer(i, &layer));
      state_.layers.push_back(std::move(layer));
    }
    return absl::OkStatus();
  }

 private:
  absl::Status Read(const std::string& name, std::initializer_list<uint64_t> shape, std::span<float> out) {
    RETURN_IF_ERROR(weights_.ReadF32(name, std::span(shape.begin(), shape.size()), out));
    Advance(out.size_bytes());
    return absl::OkStatus();
  }

  absl::StatusOr<std::unique_ptr<EmbeddingTable>> Table(const std::string& name, uint64_t rows) {
    AlignedBuffer<float> values(rows * config_.hidden_dim, Lifetime::kShort);
    RETURN_IF_ERROR(Read(name, {rows, config_.hidden_dim}, values.span()));
    const bool half = state_.options.precision != Precision::kF32;
    return std::make_unique<EmbeddingTable>(&state_.kernels(), values.span(), config_.hidden_dim, half);
  }

  absl::Status Norm(const std::string& name, LayerNorm* norm) {
    norm->gamma = AlignedBuffer<float>(config_.hidden_dim);
    norm->beta = AlignedBuffer<float>(config_.hidden_dim);
    norm->epsilon = config_.layer_norm_eps;
    RETURN_IF_ERROR(Read(absl::StrCat(name, ".weight"), {config_.hidden_dim}, norm->gamma.span()));
    return Read(absl::StrCat(name, ".bias"), {config_.hidden_dim}, norm->beta.span());
  }

  // Returns what the LayerNorm in front must multiply by.
  absl::StatusOr<std::vector<float>> Linear(uint32_t layer_idx, LinearSlot slot,
                                            std::initializer_list<std::unique_ptr<kernels::Linear>*> parts) {
    ASSIGN_OR_RETURN(LoadedLinear loaded, linear_loader_.Load(LinearIdx(layer_idx, slot)));
    OCTET_CHECK(loaded.parts.size() == parts.size());
    auto from = loaded.parts.begin();
    for (std::unique_ptr<kernels::Linear>* part : parts) {
      *part = std::move(*from++);
      Advance((*part)->in_dim() * (*part)->out_dim() * sizeof(float));
    }
    return std::move(loaded.norm_factors);
  }

  absl::Status Layer(uint32_t layer_idx, EncoderLayer* layer) {
    const auto name = [layer_idx](const std::string& pattern) {
      return absl::StrReplaceAll(pattern, {{"{}", absl::StrCat(layer_idx)}});
    };
    LayerNorm& in_front = layer_idx == 0 ? state_.embedding_norm : state_.layers.back().output_norm;
    ASSIGN_OR_RETURN(const std::vector<float> attention_factors,
                     Linear(layer_idx, LinearSlot::kQueryKeyValue, {&layer->query, &layer->key, &layer->value}));
    RETURN_IF_ERROR(Linear(layer_idx, LinearSlot::kAttentionOutput, {&layer->attention_output}).status());
    RETURN_IF_ERROR(Norm(name(names_.attention_norm), &layer->attention_norm));
    GiveFactors(attention_factors, &in_front, &layer->attention_norm);
    ASSIGN_OR_RETURN(const std::vector<float> intermediate_factors,
                     Linear(layer_idx, LinearSlot::kIntermediate, {&layer->intermediate}));
    layer->intermediate_activates =
        state_.activate_row == state_.kernels().gelu_erf_short_row && layer->intermediate->FuseShortGelu();
    RETURN_IF_ERROR(Linear(layer_idx, LinearSlot::kOutput, {&layer->output}).status());
    RETURN_IF_ERROR(Norm(name(names_.output_norm), &layer->output_norm));
    GiveFactors(intermediate_factors, &layer->attention_norm, &layer->output_norm);
    return absl::OkStatus();
  }

  // A layer's norm_factors to the LayerNorm in front of it, whose rows are the residual of the one after it as well. Source: gamma
  // migration (Wei et al. 2022, "Outlier Suppression").
  static void GiveFactors(const std::vector<float>& factors, LayerNorm* in_front, LayerNorm* after) {
    after->residual_factors = AlignedBuffer<float>(factors.size());
    for (size_t c = 0; c < factors.size(); ++c) {
      in_front->gamma[c] *= factors[c];
      in_front->beta[c] *= factors[c];
      after->residual_factors[c] = 1.0f / factors[c];
    }
  }

  void Advance(uint64_t bytes) {
    done_bytes_ += bytes;
    if (progress_) progress_(done_bytes_);
  }

  EncoderState& state_;
  const EncoderConfig& config_;
  const TensorNames& names_;
  Weights& weights_;
  LinearLoader linear_loader_;
  const std::function<void(uint64_t)>& progress_;
  uint64_t done_bytes_ = 0;
};

// `is_quantized`: what comes next rounds to 8 bits.
auto ActivationKernel(const kernels::KernelTable& kernels, Activation activation, bool is_quantized) {
  switch (activation) {
    case Activation::kGeluErf:
      return is_quantized ? kernels.gelu_erf_short_row : kernels.gelu_erf_row;
    case Activation::kGeluTanh:
      return kernels.gelu_tanh_row;
    case Activation::kRelu:
      return kernels.relu_row;
  }
  return kernels.gelu_erf_row;
}

bool HasFactors(const EncoderConfig& config, const EncoderOptions& options, size_t linear_idx) {
  if (config.quantization) return config.quantization->has_factors();
  return options.plan != nullptr && !options.plan->linears[linear_idx].input.factors.empty();
}

absl::Status CheckPrecision(const EncoderConfig& config, const EncoderOptions& options) {
  if (config.quantization && options.precision != Precision::kInt8) {
    return absl::InvalidArgumentError(absl::StrCat("precision: got ", PrecisionName(options.precision),
                                                   ", but the directory's weights are stored in int8; take the "
                                                   "directory that they were made from"));
  }
  return LinearFactory::CheckKind(LinearKindOf(options.precision), options.isa);
}

absl::Status CheckActivationRange(const EncoderState& encoder) {
  const ActivationRange range = encoder.options.activation_range;
  if (range == ActivationRange::kPerToken) return absl::OkStatus();
  const auto refuse = [&](absl::string_view why) {
    return absl::InvalidArgumentError(
        absl::StrCat("activation_range: ", ActivationRangeName(range), ", but ", why, "; take per_token"));
  };
  if (encoder.options.momentum < 0 || encoder.options.momentum >= 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("momentum: ", encoder.options.momentum, ", allowed are 0 to below 1"));
  }
  bool has_int8 = false;
  for (const EncoderLayer& layer : encoder.layers) {
    for (size_t slot = 0; slot < kLinearsPerLayer; ++slot) {
      const kernels::InputFormat& input = layer.linear(static_cast<LinearSlot>(slot)).input();
      if (input.kind != LinearKind::kInt8) continue;
      has_int8 = true;
      if (input.range != kernels::RowRange::kAsymmetric) {
        return refuse("the directory's activations have fixed or symmetric ranges");
      }
    }
  }
  return has_int8 ? absl::OkStatus() : refuse("no layer is computed in int8");
}

}  // namespace

kernels::AttentionKind AttentionKindOf(const EncoderConfig& config, Precision precision) {
  if (precision == Precision::kF32 || config.head_dim() % 2 != 0) return kernels::AttentionKind::kF32;
  return precision == Precision::kInt8 ? kernels::AttentionKind::kS8 : kernels::AttentionKind::kS16;
}

kernels::AttentionShape AttentionShapeOf(const EncoderConfig& config) {
  return {.num_heads = config.num_heads, .head_dim = config.head_dim()};
}

LinearKind LinearKindOf(Precision precision) {
  switch (precision) {
    case Precision::kInt8:
      return LinearKind::kInt8;
    case Precision::kBf16:
      return LinearKind::kBf16;
    case Precision::kF32:
      return LinearKind::kF32;
  }
  return LinearKind::kInt8;
}

bool QuantizesActivations(const EncoderConfig& config, const EncoderOptions& options) {
  for (uint32_t layer_idx = 0; layer_idx < config.num_layers; ++layer_idx) {
    if (KindOfLinear(config, options, LinearIdx(layer_idx, LinearSlot::kOutput)) != LinearKind::kInt8) return false;
  }
  return true;
}

LinearKind WidestKind(const EncoderConfig& config, const EncoderOptions& options) {
  LinearKind widest = LinearKind::kInt8;
  for (size_t i = 0; i < config.num_layers * kLinearsPerLayer; ++i) {
    const LinearKind kind = KindOfLinear(config, options, i);
    if (InputBlock::RowBytes(kind, 1) > InputBlock::RowBytes(widest, 1)) widest = kind;
  }
  return widest;
}

absl::StatusOr<std::unique_ptr<Encoder>> Encoder::Load(const EncoderConfig& config, Weights* weights,
                                                       const EncoderOptions& options,
                                                       const std::function<void(uint64_t)>& progress) {
  RETURN_IF_ERROR(CheckPrecision(config, options));
  auto state = std::make_unique<EncoderState>();
  state->config = config;
  state->options = options;
  state->linears = std::make_unique<LinearFactory>(options.isa);
  state->activate_row = ActivationKernel(state->kernels(), config.activation, QuantizesActivations(config, options));
  RETURN_IF_ERROR(Loader(state.get(), weights, progress).LoadAll());
  RETURN_IF_ERROR(CheckActivationRange(*state));
  return std::unique_ptr<Encoder>(new Encoder(std::move(state)));
}

absl::StatusOr<EncoderMemory> EstimateEncoderMemory(const EncoderConfig& config, const EncoderOptions& options) {
  // The bounds that ReadEncoderConfig enforces keep every product below 2^63; this one guards them.
  constexpr uint64_t kMaxDim = 1 << 20, kMaxLayers = 1 << 12, kMaxRows = uint64_t{1} << 31;
  if (config.hidden_dim > kMaxDim || config.intermediate_dim > kMaxDim || config.num_layers > kMaxLayers ||
      config.vocab_size > kMaxRows || config.num_positions > kMaxRows || options.max_batch_tokens > kMaxRows) {
    return absl::ResourceExhaustedError("the model's dimensions are beyond any machine's memory");
  }
  const uint64_t hidden = config.hidden_dim;
  const uint64_t norm_bytes = 2 * hidden * sizeof(float);
  uint64_t weight_bytes = norm_bytes;
  for (size_t i = 0; i < config.num_layers * kLinearsPerLayer; ++i) {
    const LinearShape shape = ShapeOfLinear(config, i);
    const uint64_t factor_bytes =
        HasFactors(config, options, i) ? NamesOfLinear(config, i).size() * shape.in_dim * sizeof(float) : 0;
    weight_bytes +=
        LinearFactory::LinearBytes(KindOfLinear(config, options, i), options.isa, shape.in_dim, shape.out_dim) +
        factor_bytes;
  }
  const uint64_t embedding_rows = uint64_t{config.vocab_size} + config.num_positions + config.num_token_types;
  const uint64_t element_bytes = options.precision == Precision::kF32 ? sizeof(float) : sizeof(uint16_t);
  return EncoderMemory{.weight_bytes = weight_bytes + config.num_layers * 2 * norm_bytes,
                       .embedding_bytes = embedding_rows * hidden * element_bytes,
                       .arena_bytes = EncoderWorkspace::Bytes(config, options)};
}

}  // namespace octet::model
