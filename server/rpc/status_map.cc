#include "server/rpc/status_map.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "serving/request.h"

namespace octet::rpc {
namespace {

constexpr char kErrorDomain[] = "octet";

std::string CutMessage(absl::string_view message) {
  size_t size = std::min(message.size(), kMaxMessageBytes);
  if (size < message.size()) {
    // Steps back over continuation bytes, so that the first byte left out begins a character.
    while (size > 0 && (static_cast<unsigned char>(message[size]) & 0xC0) == 0x80) --size;
  }
  return std::string(message.substr(0, size));
}

// "texts[3]: 9 bytes, limit 8" names its field before the colon.
void AddFieldViolation(absl::string_view message, google::rpc::Status* details) {
  const size_t colon = message.find(": ");
  if (colon == absl::string_view::npos) return;
  google::rpc::BadRequest bad_request;
  auto* violation = bad_request.add_field_violations();
  violation->set_field(std::string(message.substr(0, colon)));
  violation->set_description(std::string(message.substr(colon + 2)));
  details->add_details()->PackFrom(bad_request);
}

// Rounded up: a client that waits 0 ms would come back at once.
int64_t WholeMilliseconds(absl::Duration duration) {
  return std::max<int64_t>(0, absl::ToInt64Milliseconds(absl::Ceil(duration, absl::Milliseconds(1))));
}

}  // namespace

grpc::Status ToGrpcStatus(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  const std::string message = CutMessage(status.message());
  google::rpc::Status details;
  details.set_code(static_cast<int>(status.code()));
  details.set_message(message);
  if (const std::string reason = serving::ReasonOf(status); !reason.empty()) {
    google::rpc::ErrorInfo info;
    info.set_reason(reason);
    info.set_domain(kErrorDomain);
    details.add_details()->PackFrom(info);
  }
  if (const auto wait = serving::RetryAfterOf(status)) {
    google::rpc::RetryInfo retry;
    const int64_t milliseconds = WholeMilliseconds(*wait);
    retry.mutable_retry_delay()->set_seconds(milliseconds / 1000);
    retry.mutable_retry_delay()->set_nanos(static_cast<int32_t>(milliseconds % 1000 * 1'000'000));
    details.add_details()->PackFrom(retry);
  }
  if (status.code() == absl::StatusCode::kInvalidArgument) AddFieldViolation(message, &details);
  // Both libraries number the canonical codes alike.
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()), message, details.SerializeAsString());
}

absl::Status ToTeiStatus(const absl::Status& status) {
  if (serving::ReasonOf(status) != serving::kReasonWrongTask) return status;
  return serving::WithReason(absl::UnimplementedError(status.message()), serving::kReasonWrongTask);
}

v1::StreamError ToStreamError(const absl::Status& status) {
  v1::StreamError error;
  error.set_code(static_cast<int>(status.code()));
  error.set_message(CutMessage(status.message()));
  error.set_reason(serving::ReasonOf(status));
  if (const auto wait = serving::RetryAfterOf(status)) {
    error.set_retry_after_ms(static_cast<uint64_t>(WholeMilliseconds(*wait)));
  }
  return error;
}

std::optional<std::string> RetryPushback(const absl::Status& status) {
  const auto wait = serving::RetryAfterOf(status);
  if (!wait) return std::nullopt;
  return absl::StrCat(WholeMilliseconds(*wait));
}

absl::string_view CodeName(grpc::StatusCode code) {
  static constexpr absl::string_view kNames[] = {
      "OK",        "CANCELLED",      "UNKNOWN",           "INVALID_ARGUMENT",   "DEADLINE_EXCEEDED",
      "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION",
      "ABORTED",   "OUT_OF_RANGE",   "UNIMPLEMENTED",     "INTERNAL",           "UNAVAILABLE",
      "DATA_LOSS", "UNAUTHENTICATED"};
  const int value = static_cast<int>(code);
  return value >= 0 && value <= 16 ? kNames[value] : kNames[grpc::StatusCode::UNKNOWN];
}

}  // namespace octet::rpc
