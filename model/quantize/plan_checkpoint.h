// Planned layers kept on disk while a model is being quantized, so that an interrupted run goes on where it stopped.
// A checkpoint belongs to one fingerprint (model, method, options, texts); with another one it is worth nothing.
#ifndef OCTET_MODEL_QUANTIZE_PLAN_CHECKPOINT_H_
#define OCTET_MODEL_QUANTIZE_PLAN_CHECKPOINT_H_

#include <cstddef>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "model/quantize/quantized_directory.h"
#include "model/quantize/technique.h"

namespace octet::model {

class PlanCheckpoint {
 public:
  // `stage` must outlive it. Layers found there under another fingerprint are removed.
  PlanCheckpoint(const StagedDirectory* stage, size_t num_layers, std::string fingerprint);

  // The layer as an earlier run planned it; nothing when there is none or it cannot be read.
  std::optional<PlannedLayer> LoadOrNone(size_t layer_idx) const;
  absl::Status Save(size_t layer_idx, const PlannedLayer& layer) const;
  // Takes everything of the checkpoint out of the folder.
  void Clear() const;

 private:
  const StagedDirectory& stage_;
  const size_t num_layers_;
};

}  // namespace octet::model

#endif  // OCTET_MODEL_QUANTIZE_PLAN_CHECKPOINT_H_
