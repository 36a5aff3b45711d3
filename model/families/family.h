// What one family of encoders is, as data. To add one: write families/<name>.cc with a function that
// returns its Family, declare it here and list it in families/registry.cc.
#ifndef OCTET_MODEL_FAMILIES_FAMILY_H_
#define OCTET_MODEL_FAMILIES_FAMILY_H_

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "absl/strings/string_view.h"
#include "model/encoder_config.h"

namespace octet::model {

// A whole-number key of config.json. Without `fallback` it must be there.
struct ConfigKey {
  const char* name;
  std::optional<uint32_t> fallback;
};

struct Family {
  std::string model_type;  // config.json's, and EncoderConfig::family
  // The class in `architectures` whose head gives a logit per label: classifier(tanh(pooler(first token))).
  std::string classification_architecture;
  // The one whose head gives every token a logit per label: classifier(token).
  std::string token_classification_architecture;
  ConfigKey num_layers, hidden_dim, num_heads, intermediate_dim;
  ConfigKey vocab_size, num_positions, num_token_types;
  const char* activation_key;
  const char* default_activation;
  const char* layer_norm_eps_key;
  double default_layer_norm_eps;
  uint32_t position_offset;
  TensorNames names;
};

// Every family, in the order in which errors list them. Immutable, thread-safe.
std::span<const Family> Families();
// Null for an unknown model type.
const Family* FindFamilyOrNull(absl::string_view model_type);

// Defined in families/<name>.cc.
Family BertFamily();

}  // namespace octet::model

#endif  // OCTET_MODEL_FAMILIES_FAMILY_H_
