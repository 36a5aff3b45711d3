// The input tensors of a ModelInferRequest as inputs of the pipeline: texts or pairs borrowed from the message, or
// token ids. Raw and typed contents; every size is checked against the shape before anything is made of it. Thread-
// safe.
#ifndef OCTET_SERVER_RPC_INFERENCE_INFER_INPUTS_H_
#define OCTET_SERVER_RPC_INFERENCE_INFER_INPUTS_H_

#include <cstddef>

#include "absl/status/statusor.h"
#include "inference/inference.pb.h"
#include "model/text_model.h"
#include "server/rpc/parsed_request.h"
#include "serving/request.h"

namespace octet::rpc {

// Sets texts or encodings, and texts_name, in `request`; texts live as long as `message`. Returns the length of the
// rows of input_ids; 0 for texts. InvalidArgument, with a reason, naming the tensor:
//   "inputs: \"foo\" is no input of the model, which takes text, input_ids, attention_mask, token_type_ids"
//   "text: datatype \"INT64\", needed BYTES"
//   "text: shape [2, 3], needed [n] or [n, 1]"
//   "input_ids: shape [2, 600], row limit 512"
//   "input_ids: 24 bytes, its shape needs 32"
//   "attention_mask[1]: not ones and then zeros (padding on the right)"
absl::StatusOr<size_t> TakeInputs(const ::inference::ModelInferRequest& message, const model::ModelInfo& info,
                                  const RequestLimits& limits, serving::Request* request);

}  // namespace octet::rpc

#endif  // OCTET_SERVER_RPC_INFERENCE_INFER_INPUTS_H_
