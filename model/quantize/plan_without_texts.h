// A whole model's plan from its weights alone, for loading it so at once instead of writing a directory first.
#ifndef OCTET_MODEL_QUANTIZE_PLAN_WITHOUT_TEXTS_H_
#define OCTET_MODEL_QUANTIZE_PLAN_WITHOUT_TEXTS_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "model/linear_plan.h"
#include "model/quantize/technique.h"

namespace octet::model {

// As PlanLayerWithoutTexts for every layer of a directory of floats; the same bits as the directory that octet quantize
// writes without texts. The plan has no weights of its own: loading rounds them. Errors of ModelDirectory and Weights.
absl::StatusOr<std::shared_ptr<const QuantizationPlan>> PlanWithoutTexts(const std::string& directory,
                                                                         const TechniqueOptions& options);

}  // namespace octet::model

#endif  // OCTET_MODEL_QUANTIZE_PLAN_WITHOUT_TEXTS_H_
