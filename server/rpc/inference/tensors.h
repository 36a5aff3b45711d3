// Which tensors of the Open Inference Protocol a model takes and yields: names, datatypes and shapes. What
// ModelMetadata lists and what requests are checked against. Thread-safe functions.
#ifndef OCTET_SERVER_RPC_INFERENCE_TENSORS_H_
#define OCTET_SERVER_RPC_INFERENCE_TENSORS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "model/text_model.h"

namespace octet::rpc {

// Inputs.
inline constexpr char kText[] = "text";
inline constexpr char kTextPair[] = "text_pair";
inline constexpr char kInputIds[] = "input_ids";
inline constexpr char kAttentionMask[] = "attention_mask";
inline constexpr char kTokenTypeIds[] = "token_type_ids";
// Outputs.
inline constexpr char kEmbedding[] = "embedding";
inline constexpr char kLogits[] = "logits";
inline constexpr char kLabel[] = "label";
inline constexpr char kLastHiddenState[] = "last_hidden_state";

// Datatypes.
inline constexpr char kBytes[] = "BYTES";
inline constexpr char kInt64[] = "INT64";
inline constexpr char kFp32[] = "FP32";

struct TensorSpec {
  const char* name;
  const char* datatype;
  std::vector<int64_t> shape;  // [0] is the texts of a call; -1: of any size
};

// All that a model may be given; a call gives either texts or token ids.
std::vector<TensorSpec> InputTensors(const model::ModelInfo& info);
// All that it may be asked for.
std::vector<TensorSpec> OutputTensors(const model::ModelInfo& info);

// The one called `name`, or null.
const TensorSpec* FindTensorOrNull(const std::vector<TensorSpec>& tensors, absl::string_view name);
// Their names for a message: "a, b, c".
std::string TensorNames(const std::vector<TensorSpec>& tensors);

// How a name that a client has made up appears in a message: quoted if it is a short identifier, else by its size, so
// that nothing else that it may have put there comes out in a log.
std::string QuoteName(absl::string_view name);

}  // namespace octet::rpc

#endif  // OCTET_SERVER_RPC_INFERENCE_TENSORS_H_
