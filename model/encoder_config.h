// The shape of a BERT-kind encoder, read from config.json and mapped to one structure that the engine
// runs. A family (bert, later roberta, ...) is one small file in families/: which config keys it reads
// and how its tensors are named.
#ifndef OCTET_MODEL_ENCODER_CONFIG_H_
#define OCTET_MODEL_ENCODER_CONFIG_H_

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "model/model_directory.h"
#include "model/stored_quantization.h"

namespace octet::model {

enum class Activation {
  kGeluErf,   // 0.5 x (1 + erf(x / sqrt 2))
  kGeluTanh,  // Hendrycks and Gimpel 2016, the tanh form: "gelu_new", "gelu_pytorch_tanh"
  kRelu,
};

struct EncoderConfig {
  std::string family;
  uint32_t num_layers = 0, hidden_dim = 0, num_heads = 0, intermediate_dim = 0;
  uint32_t vocab_size = 0, num_positions = 0, num_token_types = 0;
  uint32_t position_offset = 0;  // first position's row in the table (0 for bert)
  float layer_norm_eps = 0;
  Activation activation = Activation::kGeluErf;
  std::optional<StoredQuantization> quantization;  // absent: weights are floats

  uint32_t head_dim() const { return hidden_dim / num_heads; }
  uint32_t max_tokens() const { return num_positions - position_offset; }
};

// Reads config.json strictly (at most 1 MiB, depth 16, no duplicate keys). InvalidArgument naming key,
// value and allowed range (reliability table F19) for anything out of range or unknown: model type,
// activation, position_embedding_type other than absolute, is_decoder. Keys that do not change what an
// encoder computes (dropout, label names, versions) are not read.
absl::StatusOr<EncoderConfig> ReadEncoderConfig(const ModelDirectory& directory);

// Names of a family's tensors, without prefix. "{}" in layer names stands for the layer number.
struct TensorNames {
  std::string prefix;                                                       // optional in files: "bert."
  std::string word_embeddings, position_embeddings, token_type_embeddings;  // whole names
  std::string embedding_norm;  // ".weight" and ".bias" are appended here and below
  std::string query, key, value, attention_output, attention_norm;
  std::string intermediate, output, output_norm;
  std::string pooler, classifier;  // of the classification heads
  // Endings of old files and what they are called now: {"LayerNorm.gamma", "LayerNorm.weight"}.
  std::vector<std::pair<std::string, std::string>> suffix_aliases;
  // Beginnings of tensors that ordinary files hold and an encoder does not need; no warning for them.
  std::vector<std::string> normal_extras;
};

// Precondition: `family` is an EncoderConfig::family.
const TensorNames& TensorNamesOf(absl::string_view family);

}  // namespace octet::model

#endif  // OCTET_MODEL_ENCODER_CONFIG_H_
