// Writes a model directory whose linear layers are stored as a plan has them, in the layout that
// model/stored_quantization.h reads. Everything that the plan does not touch is copied as it is: other tensors in
// their own types, tokenizer, sentence-transformers settings.
#ifndef OCTET_MODEL_QUANTIZE_QUANTIZED_DIRECTORY_H_
#define OCTET_MODEL_QUANTIZE_QUANTIZED_DIRECTORY_H_

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "model/linear_plan.h"
#include "model/quantize/staged_directory.h"

namespace octet::model {

// `source`: the directory that the plan was made from. Every linear layer of kInt8 must have rounded weights; others
// keep their tensors, which `plan` says by their kind (kF32 or kBf16, which is stored as BF16). Writes config.json,
// model.safetensors and copies of the other files; `method`: the technique's name, kept in config.json.
absl::Status WriteQuantizedDirectory(const std::string& source, const QuantizationPlan& plan, absl::string_view method,
                                     const StagedDirectory& out);

}  // namespace octet::model

#endif  // OCTET_MODEL_QUANTIZE_QUANTIZED_DIRECTORY_H_
