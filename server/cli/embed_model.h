// A model loaded for workers that each compute alone on a batch of their own, as EmbedScheduler's do.
#ifndef OCTET_SERVER_CLI_EMBED_MODEL_H_
#define OCTET_SERVER_CLI_EMBED_MODEL_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/cpu_isa.h"
#include "model/precision.h"
#include "model/quantize/technique.h"
#include "model/text_model.h"

namespace octet::cli {

struct EmbedModelOptions {
  model::Precision precision = model::Precision::kInt8;
  Isa isa = Isa::kScalar;
  model::Technique technique = model::kTechniqueAtLoad;  // of int8 and a directory of floats
  model::ActivationRange activation_range = model::ActivationRange::kPerToken;
  std::function<void(absl::string_view phase, uint64_t done_bytes, uint64_t total_bytes)> progress = nullptr;
};

struct EmbedModel {
  std::shared_ptr<const model::TextModel> model;
  size_t max_batch_tokens = 0;  // of one worker's batch
};

// Within the container's memory limit. Errors as TextModel::Load.
absl::StatusOr<EmbedModel> LoadEmbedModel(const std::string& directory, const EmbedModelOptions& options);

}  // namespace octet::cli

#endif  // OCTET_SERVER_CLI_EMBED_MODEL_H_
