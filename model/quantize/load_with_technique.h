// Loading a directory of floats to compute in int8: what a technique decides without texts is planned at once instead of
// written to a directory first.
#ifndef OCTET_MODEL_QUANTIZE_LOAD_WITH_TECHNIQUE_H_
#define OCTET_MODEL_QUANTIZE_LOAD_WITH_TECHNIQUE_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "model/linear_plan.h"
#include "model/quantize/technique.h"
#include "model/text_model.h"

namespace octet::model {

// The plan of kSmooth for every layer of a directory of floats; the same bits as the directory that octet quantize writes without
// texts. It has no weights of its own: loading rounds them. `options` and errors: as of ProbeRows.
absl::StatusOr<std::shared_ptr<const QuantizationPlan>> PlanWithoutTexts(const std::string& directory,
                                                                         const TextModelOptions& options);

// TextModel::Load, by the plan of `technique` where there is something to decide: in precision int8, of a directory of floats.
// `technique`: one that needs no texts.
absl::StatusOr<std::shared_ptr<const TextModel>> LoadWithTechnique(const std::string& directory, Technique technique,
                                                                   TextModelOptions options);

}  // namespace octet::model

#endif  // OCTET_MODEL_QUANTIZE_LOAD_WITH_TECHNIQUE_H_
