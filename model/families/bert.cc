// BERT (Devlin et al. 2019) as `transformers` stores it; defaults are those of its BertConfig. Sizes that
// decide memory have no default here: a file that omits them is more likely damaged than bert-base.
#include "model/families/family.h"

namespace octet::model {

Family BertFamily() {
  return {
      .model_type = "bert",
      .classification_architecture = "BertForSequenceClassification",
      .token_classification_architecture = "BertForTokenClassification",
      .num_layers = {"num_hidden_layers", {}},
      .hidden_dim = {"hidden_size", {}},
      .num_heads = {"num_attention_heads", {}},
      .intermediate_dim = {"intermediate_size", {}},
      .vocab_size = {"vocab_size", {}},
      .num_positions = {"max_position_embeddings", {}},
      .num_token_types = {"type_vocab_size", 2},
      .activation_key = "hidden_act",
      .default_activation = "gelu",
      .layer_norm_eps_key = "layer_norm_eps",
      .default_layer_norm_eps = 1e-12,
      .position_offset = 0,
      .names =
          {
              .prefix = "bert.",
              .word_embeddings = "embeddings.word_embeddings.weight",
              .position_embeddings = "embeddings.position_embeddings.weight",
              .token_type_embeddings = "embeddings.token_type_embeddings.weight",
              .embedding_norm = "embeddings.LayerNorm",
              .query = "encoder.layer.{}.attention.self.query",
              .key = "encoder.layer.{}.attention.self.key",
              .value = "encoder.layer.{}.attention.self.value",
              .attention_output = "encoder.layer.{}.attention.output.dense",
              .attention_norm = "encoder.layer.{}.attention.output.LayerNorm",
              .intermediate = "encoder.layer.{}.intermediate.dense",
              .output = "encoder.layer.{}.output.dense",
              .output_norm = "encoder.layer.{}.output.LayerNorm",
              .pooler = "pooler.dense",
              .classifier = "classifier",
              .suffix_aliases = {{"LayerNorm.gamma", "LayerNorm.weight"}, {"LayerNorm.beta", "LayerNorm.bias"}},
              .normal_extras = {"embeddings.position_ids", "embeddings.token_type_ids", "pooler.", "cls."},
          },
  };
}

}  // namespace octet::model
