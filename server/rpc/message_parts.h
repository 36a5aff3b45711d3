// Parts of requests and answers that the messages of several methods have in common. Thread-safe functions.
#ifndef OCTET_SERVER_RPC_MESSAGE_PARTS_H_
#define OCTET_SERVER_RPC_MESSAGE_PARTS_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "octet/v1/text_encoder.pb.h"
#include "server/rpc/parsed_request.h"
#include "serving/request.h"

namespace octet::rpc {

// A message {id = 1, request = 2} of an octet.v1 stream, taken apart but not parsed: a bad `request` must cost its
// sender an answer, not the stream. The pieces point into the message.
struct StreamParts {
  uint64_t id = 0;
  std::vector<absl::string_view> request;  // what a parser would merge
};
// InvalidArgument "request: not a valid <name>" when it is no message at all.
absl::StatusOr<StreamParts> SplitStreamMessage(absl::string_view bytes, absl::string_view name);

// InvalidArgument "response: N bytes, limit M".
absl::Status CheckResponseBytes(size_t bytes, const RequestLimits& limits);

// InvalidArgument with the reason for a text that is too long.
absl::Status TooLong(const std::string& message);

uint32_t TotalTokens(const serving::Response& response);
void SetTiming(const serving::Response& response, v1::Timing* timing);

}  // namespace octet::rpc

#endif  // OCTET_SERVER_RPC_MESSAGE_PARTS_H_
