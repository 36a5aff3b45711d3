// What the linear layers behind a LayerNorm get as input when a model reads token ids without meaning: evidence to choose input
// factors from where there are no texts. Which channels are loud is the model's doing more than the text's
// (docs/decisions/0014).
#ifndef OCTET_MODEL_QUANTIZE_PROBE_ROWS_H_
#define OCTET_MODEL_QUANTIZE_PROBE_ROWS_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "model/text_model.h"

namespace octet::model {

// By LinearIdx: [num_rows, in_dim], f32, a row for each of some hundred tokens (BERT-base: 19 MB in all); empty for layers that have
// no LayerNorm in front. They come from the floats of `directory` in int8, ranges per token, whose rows have the same bits on
// every vector level. Of `options`: isa, memory_limit_bytes and progress. Errors of ModelDirectory, Weights and
// CheckMemoryLimit.
absl::StatusOr<std::vector<std::vector<float>>> ProbeRows(const std::string& directory,
                                                          const TextModelOptions& options);

}  // namespace octet::model

#endif  // OCTET_MODEL_QUANTIZE_PROBE_ROWS_H_
