// The only place that turns absl::Status into gRPC's: code, message and the details that public tools
// read (google.rpc.ErrorInfo, RetryInfo, BadRequest in grpc-status-details-bin). Thread-safe.
#ifndef OCTET_SERVER_RPC_STATUS_MAP_H_
#define OCTET_SERVER_RPC_STATUS_MAP_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "grpcpp/support/status.h"
#include "octet/v1/text_encoder.pb.h"

namespace octet::rpc {

// A longer message may pass the peer's metadata limit and reach it as another error.
inline constexpr size_t kMaxMessageBytes = 256;

// The message is cut to kMaxMessageBytes at a character boundary. Payloads other than the reason and the
// wait never leave the process.
grpc::Status ToGrpcStatus(const absl::Status& status);

// What tei.v1 says otherwise: UNIMPLEMENTED for a model with another task. Message and reason stay.
absl::Status ToTeiStatus(const absl::Status& status);

// The same for a message of octet.v1.TextEncoder's streams.
v1::StreamError ToStreamError(const absl::Status& status);

// Value of the trailer grpc-retry-pushback-ms; nothing when the status says no wait.
std::optional<std::string> RetryPushback(const absl::Status& status);

// "OK", "INVALID_ARGUMENT", ...: the label `code` of the metrics.
absl::string_view CodeName(grpc::StatusCode code);

}  // namespace octet::rpc

#endif  // OCTET_SERVER_RPC_STATUS_MAP_H_
