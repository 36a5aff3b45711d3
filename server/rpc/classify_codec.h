// Requests to classify: bytes to what the pipeline takes, and its logits to bytes. Checked in wire form first, as
// request_codec.h says, with the same words; the items' name is "inputs", a text of one is "inputs[3].text".
// Thread-safe.
#ifndef OCTET_SERVER_RPC_CLASSIFY_CODEC_H_
#define OCTET_SERVER_RPC_CLASSIFY_CODEC_H_

#include <cstddef>
#include <memory>
#include <optional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "grpcpp/support/byte_buffer.h"
#include "model/predictions.h"
#include "octet/v1/text_encoder.pb.h"
#include "server/rpc/parsed_request.h"
#include "serving/model_repository.h"

namespace octet::rpc {

class ParsedClassify : public ParsedRequest {
 public:
  std::optional<model::ScoreActivation> activation;  // absent: as configured, like the next two
  std::optional<size_t> top_k;                       // 0: all
  std::optional<float> threshold;
  bool with_logits = false;

  // What this request gets of `served`. Configured thresholds are of the configured scores and go with them.
  model::PredictionOptions OptionsFor(const serving::ServedModel& served) const;
};

// octet.v1.ClassifyRequest.
absl::StatusOr<std::unique_ptr<ParsedClassify>> ParseClassify(const grpc::ByteBuffer& bytes,
                                                              const RequestLimits& limits);

// One octet.v1.ClassifyStreamRequest; the outer status is for a message that is not one, and ends the stream.
absl::StatusOr<StreamMessage<ParsedClassify>> ParseClassifyStream(const grpc::ByteBuffer& bytes,
                                                                  const RequestLimits& limits);

// The most bytes of `top_k` (0: all) predictions of an input, names included.
size_t PredictionBytes(const model::ModelInfo& info, size_t top_k);

// InvalidArgument "response: N bytes, limit M" when the answer of `served` might be larger than allowed. Before
// anything is computed.
absl::Status CheckResponseSize(const ParsedClassify& parsed, const serving::ServedModel& served,
                               const RequestLimits& limits);

// octet.v1.ClassifyResponse.
grpc::ByteBuffer EncodeClassifyResponse(const serving::Response& response, const ParsedClassify& request);
// octet.v1.ClassifyStreamResponse.
grpc::ByteBuffer EncodeClassifyStreamResponse(const serving::Response& response, const ParsedClassify& request);
grpc::ByteBuffer EncodeClassifyStreamError(uint64_t id, const v1::StreamError& error);

}  // namespace octet::rpc

#endif  // OCTET_SERVER_RPC_CLASSIFY_CODEC_H_
