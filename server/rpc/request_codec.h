// Bytes of a request to embed to what the pipeline takes, and the pipeline's answer to bytes. Requests are checked in
// their wire form first (count, bytes and UTF-8 of texts), so that a hostile one is refused before it is
// built in memory; then parsed once, into an arena. Answers are written straight into one slice.
// Errors are InvalidArgument with a reason (serving::WithReason), named by field as reliability demands:
//   "request: not a valid EmbedRequest"          R1, R3, R22
//   "texts[0]: not valid UTF-8 at byte 0"        R2
//   "texts: empty"                               R4
//   "texts: 2097142 items, limit 128"            R5, R6
//   "texts[3]: 70000 bytes, limit 65536"         R14
//   "truncation_side: unknown value 7"           R16
//   "response: N bytes, limit M"                 R17, before anything is computed
// Requests to classify are in classify_codec.h, those of tei.v1 in tei_codec.h. Thread-safe.
#ifndef OCTET_SERVER_RPC_REQUEST_CODEC_H_
#define OCTET_SERVER_RPC_REQUEST_CODEC_H_

#include <cstdint>
#include <memory>

#include "absl/status/statusor.h"
#include "grpcpp/support/byte_buffer.h"
#include "octet/v1/text_encoder.pb.h"
#include "server/rpc/parsed_request.h"
#include "serving/request.h"

namespace octet::rpc {

class ParsedEmbed : public ParsedRequest {
 public:
  bool as_floats = false;
};

// octet.v1.EmbedRequest.
absl::StatusOr<std::unique_ptr<ParsedEmbed>> ParseEmbed(const grpc::ByteBuffer& bytes, const RequestLimits& limits);

// One octet.v1.EmbedStreamRequest. The outer status is for a message that is not one at all, and ends the stream.
absl::StatusOr<StreamMessage<ParsedEmbed>> ParseEmbedStream(const grpc::ByteBuffer& bytes, const RequestLimits& limits);

// InvalidArgument when vectors of so many texts might be larger than an answer may be.
absl::Status CheckEmbedResponseSize(const serving::Request& request, const RequestLimits& limits);

// octet.v1.EmbedResponse; values little-endian.
grpc::ByteBuffer EncodeEmbedResponse(const serving::Response& response, bool as_floats);
// octet.v1.EmbedStreamResponse.
grpc::ByteBuffer EncodeStreamResponse(uint64_t id, const serving::Response& response, bool as_floats);
grpc::ByteBuffer EncodeStreamError(uint64_t id, const v1::StreamError& error);

}  // namespace octet::rpc

#endif  // OCTET_SERVER_RPC_REQUEST_CODEC_H_
