// One request as the serving layer sees it, and its answer. No protobuf, no gRPC.
#ifndef OCTET_SERVING_REQUEST_H_
#define OCTET_SERVING_REQUEST_H_

#include <atomic>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "model/task.h"
#include "serving/call_trace.h"
#include "text/tokenizer.h"

namespace octet::serving {

struct ServedModel;  // model_repository.h

// One text, or two that the model reads together. Borrowed; valid UTF-8.
struct TextInput {
  TextInput() = default;
  // NOLINTNEXTLINE(google-explicit-constructor): a text alone is the usual input.
  TextInput(const std::convertible_to<absl::string_view> auto& single) : text(single) {}
  TextInput(absl::string_view first, absl::string_view second) : text(first), pair(second) {}

  friend bool operator==(const TextInput&, const TextInput&) = default;

  size_t bytes() const { return text.size() + (pair ? pair->size() : 0); }

  absl::string_view text;
  std::optional<absl::string_view> pair;  // the second text
};

struct Request {
  absl::string_view method;                    // what its phases are counted under; lives longer than the request
  model::Task task = model::Task::kEmbedding;  // of the model that it needs
  std::optional<size_t> num_labels;            // likewise; absent: any number
  std::string model;                           // empty: the default model
  std::vector<TextInput> texts;                // must stay alive until `done` has run
  std::vector<text::Encoding> encodings;       // in place of texts: token ids that need no tokenizer
  const char* texts_name = "texts";            // the client's word for either, for messages
  bool with_hidden_states = false;             // what the encoder says of every token, besides the outputs
  bool truncate = false;
  text::TruncationSide truncation_side = text::TruncationSide::kRight;
  std::optional<bool> normalize;                      // embedding; absent: what the model says
  std::optional<std::string> prompt_name;             // embedding; absent: the model's default prompt
  std::optional<uint32_t> dimensions;                 // embedding: cut before normalizing; absent: all
  MonotonicTime deadline = absl::InfiniteDuration();  // on the pipeline's clock
  // Set by the transport when the client has gone. May be null.
  std::shared_ptr<const std::atomic<bool>> cancelled;
  std::shared_ptr<CallTrace> trace;  // takes the times of the phases; null: nobody wants them

  size_t num_texts() const { return encodings.empty() ? texts.size() : encodings.size(); }
};

struct Response {
  std::shared_ptr<const ServedModel> served;  // what computed it
  std::string model, model_version, fingerprint;
  uint32_t dimensions = 0;            // of each embedding; 0 for other tasks
  std::vector<float> outputs;         // of all texts, in order
  std::vector<size_t> output_starts;  // [num_texts + 1]: a text's outputs are [starts[t], starts[t + 1])
  std::vector<float> hidden_states;   // of all texts' tokens, if they were asked for: [sum of num_tokens, hidden_dim]
  std::vector<uint32_t> num_tokens;   // per text, after truncation, special tokens included
  std::vector<bool> truncated;        // per text
  absl::Duration tokenize_time, queue_time, compute_time;  // queue: all waiting; the largest over texts

  size_t num_texts() const { return num_tokens.size(); }
  std::span<const float> output(size_t text_idx) const {
    return std::span(outputs).subspan(output_starts[text_idx], output_starts[text_idx + 1] - output_starts[text_idx]);
  }
};

// Called exactly once, on a pipeline thread (or inside Submit for a refusal); must not block or throw.
using RequestDone = absl::AnyInvocable<void(absl::StatusOr<Response>) &&>;

// The reasons that octet gives; stable, clients may program against them.
inline constexpr char kReasonQueueFull[] = "QUEUE_FULL";
inline constexpr char kReasonInvalid[] = "INVALID";
inline constexpr char kReasonTooLong[] = "TEXT_TOO_LONG";
inline constexpr char kReasonUnknownModel[] = "UNKNOWN_MODEL";
inline constexpr char kReasonWrongTask[] = "WRONG_TASK";
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
