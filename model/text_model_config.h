// All that the configuration files of a model directory say, put together before any weight is read: enough to
// plan memory and limits. Whoever plans and whoever loads ask here, so that they cannot disagree.
#ifndef OCTET_MODEL_TEXT_MODEL_CONFIG_H_
#define OCTET_MODEL_TEXT_MODEL_CONFIG_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "model/classification_config.h"
#include "model/encoder.h"
#include "model/encoder_config.h"
#include "model/memory_budget.h"
#include "model/model_directory.h"
#include "model/sentence_config.h"
#include "model/task.h"

namespace octet::model {

struct TextModelConfig {
  EncoderConfig encoder;
  Task task = Task::kEmbedding;
  SentenceConfig sentence;              // of an embedding model
  ClassificationConfig classification;  // of a model that classifies texts or tokens
  uint32_t max_tokens = 0;              // of a text or pair, special tokens included
  std::vector<std::string> warnings;    // what is not followed to the letter, one line each
};

// Reads config.json and, for the length limit, the sentence-transformers files of an embedding model or the
// tokenizer_config.json of a model that classifies, cut to the position table. InvalidArgument naming file and
// key; NotFound for a missing config.json. `encoder_only`: config.json's shape alone, as an embedding model.
absl::StatusOr<TextModelConfig> ReadTextModelConfig(const ModelDirectory& directory, bool encoder_only = false);

// What the model will keep and one workspace will use, encoder and head; load_peak_bytes is left 0.
// ResourceExhausted when a size does not fit 64 bits.
absl::StatusOr<MemoryUse> EstimateMemory(const TextModelConfig& config, const EncoderOptions& options);

}  // namespace octet::model

#endif  // OCTET_MODEL_TEXT_MODEL_CONFIG_H_
