// What every codec makes of a request: what the pipeline takes, and the limits that it is checked against.
#ifndef OCTET_SERVER_RPC_PARSED_REQUEST_H_
#define OCTET_SERVER_RPC_PARSED_REQUEST_H_

#include <cstddef>
#include <cstdint>
#include <memory>

#include "absl/status/statusor.h"
#include "serving/request.h"

namespace octet::rpc {

struct RequestLimits {
  size_t max_texts = 128;
  size_t max_text_bytes = 65536;
  size_t max_response_bytes = 16 << 20;
  // Dimension that the size of an embedding's answer is computed with: the largest of the served models.
  size_t max_dimensions = 0;
  // Tokens of the longest text that one of the served models takes.
  size_t max_text_tokens = 0;
};

// Per text beside what it is answered with: tags, lengths, token count. Per answer: names, timing.
inline constexpr size_t kBytesPerText = 32, kBytesPerResponse = 512;

// A parsed request. request.texts borrow from a message that lives as long as this object.
class ParsedRequest {
 public:
  virtual ~ParsedRequest() = default;

  serving::Request request;  // deadline and cancelled are not set
  uint64_t id = 0;           // streams of octet.v1 only: the caller's
  uint32_t num_chars = 0;    // tei.v1 only: Unicode characters of the texts
};

// One message of an octet.v1 stream. `parsed` is an error for a bad `request` in it, which is answered under its
// id and does not end the stream.
template <typename Parsed>
struct StreamMessage {
  uint64_t id = 0;
  absl::StatusOr<std::unique_ptr<Parsed>> parsed;
};

}  // namespace octet::rpc

#endif  // OCTET_SERVER_RPC_PARSED_REQUEST_H_
