#include "server/rpc/message_parts.h"

#include "absl/strings/str_cat.h"
#include "server/rpc/message_bytes.h"
#include "server/rpc/wire_scan.h"

namespace octet::rpc {
namespace {

// The same in every stream's request.
constexpr int kIdField = 1, kRequestField = 2;
static_assert(kIdField == v1::EmbedStreamRequest::kIdFieldNumber &&
              kIdField == v1::ClassifyStreamRequest::kIdFieldNumber);
static_assert(kRequestField == v1::EmbedStreamRequest::kRequestFieldNumber &&
              kRequestField == v1::ClassifyStreamRequest::kRequestFieldNumber);

}  // namespace

absl::StatusOr<StreamParts> SplitStreamMessage(absl::string_view bytes, absl::string_view name) {
  if (!IsWellFormed(bytes)) return InvalidRequest(absl::StrCat("request: not a valid ", name));
  return StreamParts{.id = FindVarint(bytes, kIdField).value_or(0), .request = FindFields(bytes, kRequestField)};
}

absl::Status CheckResponseBytes(size_t bytes, const RequestLimits& limits) {
  if (bytes <= limits.max_response_bytes) return absl::OkStatus();
  return InvalidRequest(absl::StrCat("response: ", bytes, " bytes, limit ", limits.max_response_bytes));
}

absl::Status TooLong(const std::string& message) {
  return serving::WithReason(absl::InvalidArgumentError(message), serving::kReasonTooLong);
}

uint32_t TotalTokens(const serving::Response& response) {
  uint32_t total = 0;
  for (const uint32_t n : response.num_tokens) total += n;
  return total;
}

void SetTiming(const serving::Response& response, v1::Timing* timing) {
  const auto ns = [](absl::Duration d) { return static_cast<uint64_t>(absl::ToInt64Nanoseconds(d)); };
  timing->set_tokenize_ns(ns(response.tokenize_time));
  timing->set_queue_ns(ns(response.queue_time));
  timing->set_compute_ns(ns(response.compute_time));
}

}  // namespace octet::rpc
