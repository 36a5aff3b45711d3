// A ModelInferRequest as the pipeline takes it, and what its answer needs to know of it. Scanned in wire form first
// (infer_scan.h), then parsed once into an arena, then checked against the model that it names. Thread-safe.
#ifndef OCTET_SERVER_RPC_INFERENCE_INFER_REQUEST_H_
#define OCTET_SERVER_RPC_INFERENCE_INFER_REQUEST_H_

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "grpcpp/support/byte_buffer.h"
#include "server/rpc/inference/infer_parameters.h"
#include "server/rpc/inference/tensors.h"
#include "server/rpc/parsed_request.h"
#include "serving/model_repository.h"

namespace octet::rpc {

class ParsedInfer : public ParsedRequest {
 public:
  std::string request_id;           // the caller's
  InferParameters parameters;       // those that are not in `request`
  std::vector<TensorSpec> outputs;  // to answer with, in this order
  size_t row_length = 0;            // of input_ids, padding included; 0 for texts
  bool is_raw = false;              // contents, of the inputs and so of the outputs
};

// `parsed` is an error for a request that is one, and is answered under its id on a stream.
struct InferMessage {
  std::string request_id;
  absl::StatusOr<std::unique_ptr<ParsedInfer>> parsed;
};

// The outer status is for a message that is no ModelInferRequest at all, and ends a stream. Errors, each with a reason:
// InvalidArgument as infer_scan.h, infer_parameters.h and infer_inputs.h say, "outputs: ..." for outputs that the model
// does not have, "response: ..." for an answer that would be too large; NotFound "model: not found" and
// "model_version: not found".
absl::StatusOr<InferMessage> ParseInfer(const grpc::ByteBuffer& bytes, const RequestLimits& limits,
                                        const serving::ModelRepository& repository);

// What every model's version is on this protocol: its clients expect a number, and no model has two versions at a time.
inline constexpr char kModelVersion[] = "1";

// The model of this name, or the errors above. `version`: "", kModelVersion, or ModelInfo::version, which pins the
// weights.
absl::StatusOr<std::shared_ptr<const serving::ServedModel>> FindModel(const serving::ModelRepository& repository,
                                                                      const std::string& name,
                                                                      const std::string& version);

}  // namespace octet::rpc

#endif  // OCTET_SERVER_RPC_INFERENCE_INFER_REQUEST_H_
