// Bytes of a request to what the pipeline takes, and the pipeline's answer to bytes. Requests are checked in
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
// For tei.v1 the field names are `inputs` and `truncation_direction`. Thread-safe.
#ifndef OCTET_SERVER_RPC_REQUEST_CODEC_H_
#define OCTET_SERVER_RPC_REQUEST_CODEC_H_

#include <cstddef>
#include <cstdint>
#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "grpcpp/support/byte_buffer.h"
#include "octet/v1/text_encoder.pb.h"
#include "serving/request.h"

namespace octet::rpc {

struct RequestLimits {
  size_t max_texts = 128;
  size_t max_text_bytes = 65536;
  size_t max_response_bytes = 16 << 20;
  // Dimension that the size of an answer is computed with: the largest of the served models.
  size_t max_dimensions = 0;
};

// A parsed request. request.texts borrow from `message`, which lives as long as this object.
class ParsedEmbed {
 public:
  virtual ~ParsedEmbed() = default;

  serving::Request request;  // deadline and cancelled are not set
  uint64_t id = 0;           // EmbedStream only: the caller's
  bool as_floats = false;
  uint32_t num_chars = 0;  // tei.v1 only: Unicode characters of the text
};

// octet.v1.EmbedRequest.
absl::StatusOr<std::unique_ptr<ParsedEmbed>> ParseEmbed(const grpc::ByteBuffer& bytes, const RequestLimits& limits);

// One octet.v1.EmbedStreamRequest. The outer status is for a message that is not one at all, and ends the
// stream; `parsed` is an error for a bad `request` in it, which is answered under its id.
struct StreamMessage {
  uint64_t id = 0;
  absl::StatusOr<std::unique_ptr<ParsedEmbed>> parsed;
};
absl::StatusOr<StreamMessage> ParseEmbedStream(const grpc::ByteBuffer& bytes, const RequestLimits& limits);

// tei.v1.EmbedRequest. normalize absent = true; model is left empty for the caller to fill.
absl::StatusOr<std::unique_ptr<ParsedEmbed>> ParseTeiEmbed(const grpc::ByteBuffer& bytes, const RequestLimits& limits);

// octet.v1.EmbedResponse; values little-endian.
grpc::ByteBuffer EncodeEmbedResponse(const serving::Response& response, bool as_floats);
// octet.v1.EmbedStreamResponse.
grpc::ByteBuffer EncodeStreamResponse(uint64_t id, const serving::Response& response, bool as_floats);
grpc::ByteBuffer EncodeStreamError(uint64_t id, const v1::StreamError& error);
// tei.v1.EmbedResponse; total_time from arrival to now.
grpc::ByteBuffer EncodeTeiEmbedResponse(const serving::Response& response, uint32_t num_chars,
                                        absl::Duration total_time);

}  // namespace octet::rpc

#endif  // OCTET_SERVER_RPC_REQUEST_CODEC_H_
