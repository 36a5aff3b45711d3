#include "server/rpc/inference/infer_parameters.h"

#include <algorithm>
#include <iterator>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "server/rpc/inference/tensors.h"
#include "server/rpc/message_bytes.h"

namespace octet::rpc {
namespace {

using ::inference::InferParameter;

// Of Triton's scheduler: calls have no priority and no order, and belong to no sequence.
constexpr absl::string_view kIgnored[] = {"priority", "sequence_id", "sequence_start", "sequence_end"};

absl::Status WrongKind(absl::string_view key, absl::string_view needed) {
  return InvalidRequest(absl::StrCat("parameters: ", key, " is not ", needed));
}

absl::StatusOr<bool> BoolOf(absl::string_view key, const InferParameter& value) {
  if (value.parameter_choice_case() != InferParameter::kBoolParam) return WrongKind(key, "a bool");
  return value.bool_param();
}

absl::StatusOr<uint64_t> CountOf(absl::string_view key, const InferParameter& value) {
  if (value.parameter_choice_case() == InferParameter::kUint64Param) return value.uint64_param();
  if (value.parameter_choice_case() == InferParameter::kInt64Param && value.int64_param() >= 0) {
    return static_cast<uint64_t>(value.int64_param());
  }
  return WrongKind(key, "an integer of at least 0");
}

absl::StatusOr<std::string> StringOf(absl::string_view key, const InferParameter& value) {
  if (value.parameter_choice_case() != InferParameter::kStringParam) return WrongKind(key, "a string");
  return value.string_param();
}

absl::Status SetTruncationSide(absl::string_view key, const InferParameter& value, serving::Request* request) {
  ASSIGN_OR_RETURN(const std::string side, StringOf(key, value));
  if (side != "left" && side != "right") return WrongKind(key, "left or right");
  request->truncation_side = side == "left" ? text::TruncationSide::kLeft : text::TruncationSide::kRight;
  return absl::OkStatus();
}

absl::Status Apply(absl::string_view key, const InferParameter& value, serving::Request* request,
                   InferParameters* others) {
  if (key == "truncate") {
    ASSIGN_OR_RETURN(request->truncate, BoolOf(key, value));
  } else if (key == "truncation_side") {
    return SetTruncationSide(key, value, request);
  } else if (key == "normalize") {
    ASSIGN_OR_RETURN(request->normalize, BoolOf(key, value));
  } else if (key == "dimensions") {
    ASSIGN_OR_RETURN(const uint64_t dimensions, CountOf(key, value));
    request->dimensions = static_cast<uint32_t>(std::min<uint64_t>(dimensions, UINT32_MAX));
  } else if (key == "prompt_name") {
    ASSIGN_OR_RETURN(request->prompt_name, StringOf(key, value));
  } else if (key == "timeout") {
    ASSIGN_OR_RETURN(const uint64_t microseconds, CountOf(key, value));
    // 0: none, as in Triton.
    if (microseconds > 0) others->timeout = absl::Microseconds(std::min<uint64_t>(microseconds, INT64_MAX));
  } else if (key == "triton_enable_empty_final_response") {
    ASSIGN_OR_RETURN(others->wants_final_flag, BoolOf(key, value));
  } else if (std::find(std::begin(kIgnored), std::end(kIgnored), key) == std::end(kIgnored)) {
    return InvalidRequest(absl::StrCat("parameters: ", QuoteName(key), " is not known"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<InferParameters> ApplyParameters(const ParameterList& parameters, serving::Request* request) {
  InferParameters others;
  for (const ::inference::ParameterEntry& entry : parameters) {
    RETURN_IF_ERROR(Apply(entry.key(), entry.value(), request, &others));
  }
  return others;
}

absl::Status CheckNoParameters(const ParameterList& parameters, const char* name) {
  if (parameters.empty()) return absl::OkStatus();
  return InvalidRequest(absl::StrCat(name, ": parameter ", QuoteName(parameters[0].key()), " is not supported"));
}

}  // namespace octet::rpc
