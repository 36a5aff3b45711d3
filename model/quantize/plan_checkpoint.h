// Planned layers kept on disk while a model is being quantized, so that an interrupted run goes on where it stopped.
// A checkpoint belongs to one fingerprint (model, method, options, texts); with another one it is worth nothing.
#ifndef OCTET_MODEL_QUANTIZE_PLAN_CHECKPOINT_H_
#define OCTET_MODEL_QUANTIZE_PLAN_CHECKPOINT_H_

#include <cstddef>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "model/encoder_config.h"
#include "model/quantize/staged_directory.h"
#include "model/quantize/technique.h"

namespace octet::model {

class PlanCheckpoint {
 public:
  // `stage` must outlive it. A folder with anything in it but a checkpoint of this fingerprint is emptied.
  static absl::StatusOr<PlanCheckpoint> Open(const StagedDirectory* stage, const std::string& fingerprint);

  // The layer as an earlier run planned it; nothing when there is none, or it cannot be read or does not fit `config`.
  std::optional<PlannedLayer> LoadOrNone(const EncoderConfig& config, size_t layer_idx) const;
  absl::Status Save(size_t layer_idx, const PlannedLayer& layer) const;
  // Takes the checkpoint's files out of the folder.
  void Clear(size_t num_layers) const;

 private:
  explicit PlanCheckpoint(const StagedDirectory* stage) : stage_(stage) {}

  const StagedDirectory* stage_;
};

}  // namespace octet::model

#endif  // OCTET_MODEL_QUANTIZE_PLAN_CHECKPOINT_H_
