#include "model/text_model_config.h"

#include <algorithm>
#include <optional>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "model/classification_head.h"
#include "model/token_classification_head.h"
#include "model/tokenizer_config.h"

namespace octet::model {
namespace {

// What `file` says in `key`, cut to the position table.
uint32_t MaxTokens(absl::string_view file, absl::string_view key, std::optional<uint32_t> limit, uint32_t positions,
                   std::vector<std::string>* warnings) {
  if (!limit) return positions;
  if (*limit > positions) {
    warnings->push_back(absl::StrCat(file, ": ", key, ": ", *limit, " is above the ", positions,
                                     " positions of config.json; the limit is ", positions));
  }
  return std::min(positions, *limit);
}

absl::Status ReadEmbedding(const ModelDirectory& directory, TextModelConfig* config) {
  ASSIGN_OR_RETURN(config->sentence, ReadSentenceConfig(directory));
  const SentenceConfig& sentence = config->sentence;
  if (sentence.embedding_dim && *sentence.embedding_dim != config->encoder.hidden_dim) {
    return absl::InvalidArgumentError(absl::StrCat("pooling: embedding dimension ", *sentence.embedding_dim,
                                                   ", config.json says hidden_size ", config->encoder.hidden_dim));
  }
  config->max_tokens = MaxTokens("sentence_bert_config.json", "max_seq_length", sentence.max_seq_length,
                                 config->encoder.max_tokens(), &config->warnings);
  return absl::OkStatus();
}

absl::Status ReadClassification(const ModelDirectory& directory, TextModelConfig* config) {
  ASSIGN_OR_RETURN(config->classification, ReadClassificationConfig(directory));
  ASSIGN_OR_RETURN(const std::optional<uint32_t> limit, ReadModelMaxLength(directory));
  config->max_tokens =
      MaxTokens("tokenizer_config.json", "model_max_length", limit, config->encoder.max_tokens(), &config->warnings);
  if (directory.Exists("modules.json")) {
    config->warnings.push_back(
        absl::StrCat("modules.json: not used: config.json names a ", TaskName(config->task), " model"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<TextModelConfig> ReadTextModelConfig(const ModelDirectory& directory, bool encoder_only) {
  TextModelConfig config;
  ASSIGN_OR_RETURN(config.encoder, ReadEncoderConfig(directory));
  config.max_tokens = config.encoder.max_tokens();
  if (encoder_only) return config;
  ASSIGN_OR_RETURN(config.task, ReadTask(directory, config.encoder.family));
  switch (config.task) {
    case Task::kEmbedding:
      RETURN_IF_ERROR(ReadEmbedding(directory, &config));
      break;
    case Task::kClassification:
    case Task::kTokenClassification:
      RETURN_IF_ERROR(ReadClassification(directory, &config));
      break;
  }
  return config;
}

absl::StatusOr<MemoryUse> EstimateMemory(const TextModelConfig& config, const EncoderOptions& options) {
  ASSIGN_OR_RETURN(const EncoderMemory encoder, EstimateEncoderMemory(config.encoder, options));
  MemoryUse use = {.weight_bytes = encoder.weight_bytes,
                   .embedding_bytes = encoder.embedding_bytes,
                   .arena_bytes = encoder.arena_bytes};
  // No overflow: both sizes are bounded (encoder_config.cc, kMaxLabels), and the encoder's sum was checked.
  const uint64_t hidden_dim = config.encoder.hidden_dim, num_labels = config.classification.labels.size();
  switch (config.task) {
    case Task::kEmbedding:
      break;
    case Task::kClassification:
      use.weight_bytes += ClassificationHead::WeightBytes(hidden_dim, num_labels, options.isa);
      use.arena_bytes += ClassificationHead::WorkspaceBytes(hidden_dim, num_labels);
      break;
    case Task::kTokenClassification:
      use.weight_bytes += TokenClassificationHead::WeightBytes(hidden_dim, num_labels, options.isa);
      use.arena_bytes += TokenClassificationHead::WorkspaceBytes(hidden_dim, num_labels);
      break;
  }
  return use;
}

}  // namespace octet::model
