#include "server/cli/embed_model.h"

#include <algorithm>

#include "base/container_limits.h"
#include "base/status_macros.h"
#include "model/encoder_config.h"
#include "model/model_directory.h"
#include "model/quantize/load_with_technique.h"

namespace octet::cli {
namespace {

// For one thread: enough rows to use the weights often, and scratch that stays near its cache.
constexpr size_t kMinBatchTokens = 2048;

}  // namespace

absl::StatusOr<EmbedModel> LoadEmbedModel(const std::string& directory_path, const EmbedModelOptions& options) {
  ASSIGN_OR_RETURN(const auto directory, model::ModelDirectory::Open(directory_path));
  ASSIGN_OR_RETURN(const model::EncoderConfig config, model::ReadEncoderConfig(*directory));
  EmbedModel loaded;
  loaded.max_batch_tokens = std::max<size_t>(kMinBatchTokens, config.max_tokens());
  model::TextModelOptions model_options;
  model_options.precision = options.precision;
  model_options.isa = options.isa;
  model_options.activation_range = options.activation_range;
  model_options.max_batch_tokens = loaded.max_batch_tokens;
  // Each worker computes alone; the others' workspaces are beyond this sum, but small beside a limit.
  model_options.num_threads = 1;
  model_options.memory_limit_bytes = ContainerLimits::Detect().memory_limit_bytes().value_or(0);
  model_options.progress = options.progress;
  ASSIGN_OR_RETURN(loaded.model, model::LoadWithTechnique(directory_path, options.technique, model_options));
  return loaded;
}

}  // namespace octet::cli
