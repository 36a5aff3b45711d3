// The pipeline's answer as a ModelInferResponse. Raw outputs are written straight from the answer's values into one
// slice; typed ones go through a message. Thread-safe functions.
#ifndef OCTET_SERVER_RPC_INFERENCE_INFER_RESPONSE_H_
#define OCTET_SERVER_RPC_INFERENCE_INFER_RESPONSE_H_

#include <cstddef>
#include <string>

#include "absl/status/status.h"
#include "grpcpp/support/byte_buffer.h"
#include "model/text_model.h"
#include "server/rpc/inference/infer_request.h"
#include "serving/request.h"

namespace octet::rpc {

// At most so many bytes will the answer have: last_hidden_state of texts is counted as if each had all tokens that the
// model takes.
size_t InferResponseBytes(const ParsedInfer& request, const model::ModelInfo& info);

// ModelInferResponse. last_hidden_state is [texts, length, hidden_dim], its rows behind the tokens of a text zero;
// `length` is that of the request's rows, for texts that of the one with the most tokens.
grpc::ByteBuffer EncodeInferResponse(const serving::Response& response, const ParsedInfer& request);

// ModelStreamInferResponse.
grpc::ByteBuffer EncodeInferStreamResponse(const serving::Response& response, const ParsedInfer& request);
grpc::ByteBuffer EncodeInferStreamError(const std::string& request_id, const absl::Status& status);

}  // namespace octet::rpc

#endif  // OCTET_SERVER_RPC_INFERENCE_INFER_RESPONSE_H_
