// What config.json says about weights that are stored quantized: its "quantization_config", in the layout of
// compressed-tensors (W8A8: s8 weights per output channel or tensor, s8 or u8 activations per token or with a
// fixed scale). Values themselves are tensors; this says which there are. The same layout with
// "quant_method": "octet" has input factors besides, which other readers do not know and must not ignore.
// Source of the layout: the compressed-tensors package (vllm-project/compressed-tensors), QuantizationConfig.
#ifndef OCTET_MODEL_STORED_QUANTIZATION_H_
#define OCTET_MODEL_STORED_QUANTIZATION_H_

#include <set>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "kernels/kernel_table.h"
#include "model/strict_json.h"

namespace octet::model {

// Key of config.json with the name of the technique that made the weights.
inline constexpr char kQuantizationMethodKey[] = "octet_quantization_method";

struct StoredQuantization {
  std::string format;     // "compressed-tensors" or "octet": the latter has "<layer>.input_factors" tensors
  std::string technique;  // "smooth", ...; "unknown" when another program wrote the directory
  // kFixed: "<layer>.input_scale" and, if asymmetric, "<layer>.input_zero_point" tensors.
  kernels::RowRange activation_range = kernels::RowRange::kAsymmetric;
  std::set<std::string> ignored;  // layers that are stored as floats, without the family's prefix

  bool has_factors() const { return format == "octet"; }
  // Whether the layer of that name (without prefix) is stored quantized.
  bool IsQuantized(absl::string_view layer_name) const { return ignored.count(std::string(layer_name)) == 0; }
};

// `config`: the whole of config.json. `prefix`: the family's, taken off names. InvalidArgument naming the key and
// what is allowed for any scheme that octet does not compute: nothing in it is skipped over.
absl::StatusOr<StoredQuantization> ReadStoredQuantization(const JsonReader& config, absl::string_view prefix);

}  // namespace octet::model

#endif  // OCTET_MODEL_STORED_QUANTIZATION_H_
