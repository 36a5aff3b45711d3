// What loading makes of a linear layer of a model directory, as a plan: for looking at a model, not for serving it. The layer
// stands alone: it multiplies by its factors itself.
// Reads the directory as serving does, with the same checks. Pure function of the directory.
#ifndef OCTET_MODEL_QUANTIZE_LOADED_PLAN_H_
#define OCTET_MODEL_QUANTIZE_LOADED_PLAN_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "kernels/linear.h"
#include "model/encoder.h"
#include "model/encoder_config.h"
#include "model/linear_plan.h"
#include "model/weights.h"

namespace octet::model {

struct LoadedPlan {
  // Of kInt8 always with weights, scales and bias, rounded to nearest for a directory of floats; of other kinds
  // without, as the floats of the directory are the weights.
  LinearPlan plan;
  uint64_t bytes = 0;  // that the engine keeps: weights as packed, scales, bias, factors
};

// `options`: precision, isa and plan as the directory would be loaded. Errors of LinearLoader::Load.
absl::StatusOr<LoadedPlan> ReadLoadedPlan(const EncoderConfig& config, const EncoderOptions& options, size_t linear_idx,
                                          Weights* weights, kernels::LinearFactory* factory);

}  // namespace octet::model

#endif  // OCTET_MODEL_QUANTIZE_LOADED_PLAN_H_
