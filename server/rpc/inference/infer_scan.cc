#include "server/rpc/inference/infer_scan.h"

#include <optional>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "inference/inference.pb.h"
#include "server/rpc/message_bytes.h"
#include "server/rpc/wire_scan.h"

namespace octet::rpc {
namespace {

using ::inference::InferTensorContents;
using ::inference::ModelInferRequest;
using Input = ModelInferRequest::InferInputTensor;
using Output = ModelInferRequest::InferRequestedOutputTensor;

// The strings and messages in a ModelInferRequest.
using ::inference::InferParameter;
using ::inference::ParameterEntry;
constexpr auto kMessage = NestedKind::kMessage, kString = NestedKind::kString;
constexpr NestedField kParameterFields[] = {{InferParameter::kStringParamFieldNumber, kString}};
constexpr NestedField kEntryFields[] = {{ParameterEntry::kKeyFieldNumber, kString},
                                        {ParameterEntry::kValueFieldNumber, kMessage, kParameterFields}};
constexpr NestedField kContentsFields[] = {{InferTensorContents::kBytesContentsFieldNumber, NestedKind::kCountedText}};
constexpr NestedField kInputFields[] = {{Input::kNameFieldNumber, kString},
                                        {Input::kDatatypeFieldNumber, kString},
                                        {Input::kParametersFieldNumber, kMessage, kEntryFields},
                                        {Input::kContentsFieldNumber, kMessage, kContentsFields}};
constexpr NestedField kOutputFields[] = {{Output::kNameFieldNumber, kString},
                                         {Output::kParametersFieldNumber, kMessage, kEntryFields}};
constexpr NestedField kRequestFields[] = {{ModelInferRequest::kModelNameFieldNumber, kString},
                                          {ModelInferRequest::kModelVersionFieldNumber, kString},
                                          {ModelInferRequest::kIdFieldNumber, kString},
                                          {ModelInferRequest::kParametersFieldNumber, kMessage, kEntryFields},
                                          {ModelInferRequest::kInputsFieldNumber, kMessage, kInputFields},
                                          {ModelInferRequest::kOutputsFieldNumber, kMessage, kOutputFields}};

constexpr size_t kTextTensors = 2;

// Packed numbers of an input; one byte of them may become eight.
size_t CountNumbers(absl::string_view input) {
  size_t count = 0;
  for (const absl::string_view shape : FindFields(input, Input::kShapeFieldNumber)) count += CountVarints(shape);
  for (const absl::string_view contents : FindFields(input, Input::kContentsFieldNumber)) {
    for (int field = InferTensorContents::kBoolContentsFieldNumber;
         field < InferTensorContents::kBytesContentsFieldNumber; ++field) {
      for (const absl::string_view values : FindFields(contents, field)) count += CountVarints(values);
    }
  }
  return count;
}

}  // namespace

absl::Status ScanInferRequest(absl::string_view bytes, const RequestLimits& limits) {
  const std::optional<FieldCounts> counts = CountFields(bytes, kRequestFields);
  if (!counts || counts->others > kMaxOtherFields) {
    return InvalidRequest("request: not a valid ModelInferRequest");
  }
  if (counts->texts > kTextTensors * limits.max_texts) {
    return InvalidRequest(absl::StrCat("inputs: ", counts->texts, " texts, limit ", kTextTensors * limits.max_texts));
  }
  // The largest tensor that can be accepted, and a few numbers for its shape.
  constexpr size_t kShapeNumbers = 16;
  const size_t max_numbers = limits.max_texts * limits.max_text_tokens + kShapeNumbers;
  const std::vector<absl::string_view> inputs = FindFields(bytes, ModelInferRequest::kInputsFieldNumber);
  for (size_t i = 0; i < inputs.size(); ++i) {
    const size_t count = CountNumbers(inputs[i]);
    if (count > max_numbers) {
      return InvalidRequest(absl::StrCat("inputs[", i, "]: ", count, " numbers, limit ", max_numbers));
    }
  }
  return absl::OkStatus();
}

}  // namespace octet::rpc
