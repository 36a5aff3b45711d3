// The length limit in tokenizer_config.json, the one key of that file that octet reads: what the tokenizer does
// is all in tokenizer.json.
#ifndef OCTET_MODEL_TOKENIZER_CONFIG_H_
#define OCTET_MODEL_TOKENIZER_CONFIG_H_

#include <cstdint>
#include <optional>

#include "absl/status/statusor.h"
#include "model/model_directory.h"

namespace octet::model {

// model_max_length, in tokens with the special ones. Nothing when there is no such file or key, and when the
// number is as large as those that `transformers` writes for "no limit" (10^30). InvalidArgument naming key and
// value for what cannot be a length.
absl::StatusOr<std::optional<uint32_t>> ReadModelMaxLength(const ModelDirectory& directory);

}  // namespace octet::model

#endif  // OCTET_MODEL_TOKENIZER_CONFIG_H_
