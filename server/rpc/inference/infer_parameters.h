// Parameters of a ModelInferRequest: what octet offers of its own beside the tensors. A name that octet does not know
// is refused, because a misspelled wish would otherwise change answers in silence; those of Triton's scheduler that
// mean nothing here are taken and ignored. Thread-safe functions.
#ifndef OCTET_SERVER_RPC_INFERENCE_INFER_PARAMETERS_H_
#define OCTET_SERVER_RPC_INFERENCE_INFER_PARAMETERS_H_

#include <optional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "inference/inference.pb.h"
#include "serving/request.h"

namespace octet::rpc {

using ParameterList = google::protobuf::RepeatedPtrField<::inference::ParameterEntry>;

struct InferParameters {
  std::optional<absl::Duration> timeout;  // `timeout`, in microseconds: for the answer
  // `triton_enable_empty_final_response`: the answer says that it is the last one of its request.
  bool wants_final_flag = false;
};

// Sets what `truncate` (bool), `truncation_side` ("left" or "right"), `normalize` (bool), `dimensions` (int64) and
// `prompt_name` (string) say in `request`, and returns the others. InvalidArgument "parameters: ...".
absl::StatusOr<InferParameters> ApplyParameters(const ParameterList& parameters, serving::Request* request);

// InvalidArgument when tensor `name` has a parameter: octet knows none of tensors (shared memory, classification).
absl::Status CheckNoParameters(const ParameterList& parameters, const char* name);

}  // namespace octet::rpc

#endif  // OCTET_SERVER_RPC_INFERENCE_INFER_PARAMETERS_H_
