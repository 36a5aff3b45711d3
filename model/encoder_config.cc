#include "model/encoder_config.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/status_macros.h"
#include "kernels/kernel_table.h"
#include "model/families/family.h"
#include "model/strict_json.h"

namespace octet::model {
namespace {

// Generous bounds: more than the largest encoders known have, and small enough that products of two fit 64
// bits. Memory is checked by arithmetic before anything is read.
constexpr uint32_t kMaxLayers = 1000;
constexpr uint32_t kMaxHiddenDim = kernels::kMaxInt8Depth;
constexpr uint32_t kMaxIntermediateDim = kernels::kMaxInt8Depth;
constexpr uint32_t kMaxVocab = 10'000'000;
constexpr uint32_t kMaxPositions = 1 << 20;
constexpr uint32_t kMaxTokenTypes = 1024;
// Above zero: a constant row has variance 0, and 0 / sqrt(0) is no number.
constexpr double kMinLayerNormEps = 1e-30;
constexpr double kMaxLayerNormEps = 0.1;

struct ActivationName {
  const char* name;
  Activation activation;
};
// Names of `transformers` (ACT2FN). gelu_fast differs from gelu_new in the order of its products only.
constexpr ActivationName kActivations[] = {
    {"gelu", Activation::kGeluErf},       {"gelu_python", Activation::kGeluErf},
    {"gelu_new", Activation::kGeluTanh},  {"gelu_pytorch_tanh", Activation::kGeluTanh},
    {"gelu_fast", Activation::kGeluTanh}, {"relu", Activation::kRelu},
};

absl::StatusOr<const Family*> ReadFamily(const JsonReader& config) {
  ASSIGN_OR_RETURN(const std::string model_type, config.String("model_type", ""));
  if (const Family* family = FindFamilyOrNull(model_type)) return family;
  std::string known;
  for (const Family& family : Families()) {
    absl::StrAppend(&known, known.empty() ? "" : ", ", "\"", family.model_type, "\"");
  }
  return config.Error("model_type", known);
}

absl::StatusOr<Activation> ReadActivation(const JsonReader& config, const Family& family) {
  ASSIGN_OR_RETURN(const std::string name, config.String(family.activation_key, family.default_activation));
  std::string known;
  for (const ActivationName& entry : kActivations) {
    if (name == entry.name) return entry.activation;
    absl::StrAppend(&known, known.empty() ? "" : ", ", "\"", entry.name, "\"");
  }
  return config.Error(family.activation_key, known);
}

// Settings that would change what the model computes in a way octet does not do.
absl::Status RefuseOtherModels(const JsonReader& config) {
  ASSIGN_OR_RETURN(const std::string position_type, config.String("position_embedding_type", "absolute"));
  if (position_type != "absolute") return config.Error("position_embedding_type", "\"absolute\"");
  for (const char* key : {"is_decoder", "add_cross_attention", "is_encoder_decoder"}) {
    ASSIGN_OR_RETURN(const bool is_set, config.Bool(key, false));
    if (is_set) return config.Error(key, "false");
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<EncoderConfig> ReadEncoderConfig(const ModelDirectory& directory) {
  ASSIGN_OR_RETURN(const Json object, ReadJsonObject(directory, kConfigFile));
  const JsonReader json(kConfigFile, object);
  ASSIGN_OR_RETURN(const Family* const family, ReadFamily(json));
  RETURN_IF_ERROR(RefuseOtherModels(json));

  EncoderConfig config;
  config.family = family->model_type;
  config.position_offset = family->position_offset;
  const struct {
    const ConfigKey& key;
    uint32_t min, max;
    uint32_t* value;
  } sizes[] = {
      {family->num_layers, 1, kMaxLayers, &config.num_layers},
      {family->hidden_dim, 1, kMaxHiddenDim, &config.hidden_dim},
      {family->num_heads, 1, kMaxHiddenDim, &config.num_heads},
      {family->intermediate_dim, 1, kMaxIntermediateDim, &config.intermediate_dim},
      {family->vocab_size, 1, kMaxVocab, &config.vocab_size},
      {family->num_positions, family->position_offset + 1, kMaxPositions, &config.num_positions},
      {family->num_token_types, 1, kMaxTokenTypes, &config.num_token_types},
  };
  for (const auto& size : sizes) {
    ASSIGN_OR_RETURN(*size.value, json.Integer(size.key.name, size.min, size.max, size.key.fallback));
  }
  if (config.hidden_dim % config.num_heads != 0) {
    return json.Error(family->num_heads.name,
                      absl::StrCat("divisors of ", family->hidden_dim.name, ", ", config.hidden_dim));
  }
  ASSIGN_OR_RETURN(config.activation, ReadActivation(json, *family));
  ASSIGN_OR_RETURN(const double eps, json.Number(family->layer_norm_eps_key, kMinLayerNormEps, kMaxLayerNormEps,
                                                 family->default_layer_norm_eps));
  config.layer_norm_eps = static_cast<float>(eps);
  if (json.Has("quantization_config")) {
    ASSIGN_OR_RETURN(config.quantization, ReadStoredQuantization(json, family->names.prefix));
  }
  return config;
}

const TensorNames& TensorNamesOf(absl::string_view family_name) {
  const Family* const family = FindFamilyOrNull(family_name);
  OCTET_CHECK(family != nullptr);
  return family->names;
}

}  // namespace octet::model
