// One request as the serving layer sees it, and its answer. No protobuf, no gRPC.
#ifndef OCTET_SERVING_REQUEST_H_
#define OCTET_SERVING_REQUEST_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "text/tokenizer.h"

namespace octet::serving {

struct Request {
  std::string model;                     // empty: the default model
  std::vector<absl::string_view> texts;  // borrowed; valid UTF-8; must stay alive until `done` has run
  bool truncate = false;
  text::TruncationSide truncation_side = text::TruncationSide::kRight;
  std::optional<bool> normalize;                      // absent: what the model says
  std::optional<std::string> prompt_name;             // absent: the model's default prompt
  std::optional<uint32_t> dimensions;                 // cut before normalizing; absent: all
  MonotonicTime deadline = absl::InfiniteDuration();  // on the pipeline's clock
  // Set by the transport when the client has gone. May be null.
  std::shared_ptr<const std::atomic<bool>> cancelled;
};

struct Response {
  std::string model, model_version;
  uint32_t dimensions = 0;
  std::vector<float> outputs;                              // [num_texts, dimensions]
  std::vector<uint32_t> num_tokens;                        // per text, after truncation, special tokens included
  std::vector<bool> truncated;                             // per text
  absl::Duration tokenize_time, queue_time, compute_time;  // queue: all waiting; the largest over texts
};

// Called exactly once, on a pipeline thread (or inside Submit for a refusal); must not block or throw.
using RequestDone = absl::AnyInvocable<void(absl::StatusOr<Response>) &&>;

// The reasons that octet gives; stable, clients may program against them.
inline constexpr char kReasonQueueFull[] = "QUEUE_FULL";
inline constexpr char kReasonInvalid[] = "INVALID";
inline constexpr char kReasonTooLong[] = "TEXT_TOO_LONG";
inline constexpr char kReasonUnknownModel[] = "UNKNOWN_MODEL";
inline constexpr char kReasonDeadline[] = "DEADLINE";
inline constexpr char kReasonCancelled[] = "CANCELLED";
inline constexpr char kReasonDraining[] = "DRAINING";

// A refusal under load carries how long to wait before trying again, as a payload of the status that
// only server/status_map.cc turns into google.rpc.RetryInfo.
absl::Status WithRetryAfter(absl::Status status, absl::Duration retry_after);
std::optional<absl::Duration> RetryAfterOf(const absl::Status& status);
// Likewise a stable upper-snake reason, one of the above, for google.rpc.ErrorInfo and the label `reason`
// of octet_rejected_total.
absl::Status WithReason(absl::Status status, absl::string_view reason);
std::string ReasonOf(const absl::Status& status);  // "" when it has none

}  // namespace octet::serving

#endif  // OCTET_SERVING_REQUEST_H_
