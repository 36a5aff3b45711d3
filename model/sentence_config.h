// What the sentence-transformers files beside a model say: pooling, normalization, length limit and
// prompts. Anything in them that octet does not know is refused by name, never ignored.
#ifndef OCTET_MODEL_SENTENCE_CONFIG_H_
#define OCTET_MODEL_SENTENCE_CONFIG_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "model/model_directory.h"

namespace octet::model {

enum class Pooling { kMean, kCls, kMax };

struct SentenceConfig {
  Pooling pooling = Pooling::kMean;
  bool normalize = false;
  std::optional<uint32_t> embedding_dim;   // what the pooling file expects of the encoder
  std::optional<uint32_t> max_seq_length;  // sentence_bert_config.json
  // sentence_bert_config.json; refused by TextModel when the tokenizer does not lower-case.
  bool do_lower_case = false;
  std::map<std::string, std::string> prompts;  // name -> text put before the input
  std::optional<std::string> default_prompt_name;
};

// Reads modules.json, <n>_Pooling/config.json, <n>_Normalize, sentence_bert_config.json and
// config_sentence_transformers.json. Without modules.json: mean pooling, not normalized.
// InvalidArgument naming file, key and value for everything unknown (a Dense module, a pooling mode other
// than the enum's, two modes at once, a default prompt without a text, include_prompt: false, ...).
absl::StatusOr<SentenceConfig> ReadSentenceConfig(const ModelDirectory& directory);

}  // namespace octet::model

#endif  // OCTET_MODEL_SENTENCE_CONFIG_H_
