#include "server/rpc/inference/infer_inputs.h"

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "server/rpc/inference/input_tensor.h"
#include "server/rpc/inference/tensors.h"
#include "server/rpc/message_bytes.h"

namespace octet::rpc {
namespace {

using ::inference::ModelInferRequest;

// Those that a request has, each once.
class GivenInputs {
 public:
  static absl::StatusOr<GivenInputs> Make(const ModelInferRequest& message, const model::ModelInfo& info) {
    const auto& raw = message.raw_input_contents();
    if (!raw.empty() && raw.size() != message.inputs_size()) {
      return InvalidRequest(
          absl::StrCat("raw_input_contents: ", raw.size(), " items for ", message.inputs_size(), " inputs"));
    }
    const std::vector<TensorSpec> specs = InputTensors(info);
    GivenInputs given;
    for (int i = 0; i < message.inputs_size(); ++i) {
      const TensorSpec* const spec = FindTensorOrNull(specs, message.inputs(i).name());
      if (spec == nullptr) {
        return InvalidRequest(absl::StrCat("inputs: ", QuoteName(message.inputs(i).name()),
                                           " is no input of the model, which takes ", TensorNames(specs)));
      }
      if (given.FindOrNull(spec->name) != nullptr) return InvalidRequest(absl::StrCat(spec->name, ": given twice"));
      std::optional<absl::string_view> raw_contents;
      if (!raw.empty()) raw_contents = raw[i];
      ASSIGN_OR_RETURN(InputTensor tensor, InputTensor::Make(*spec, message.inputs(i), raw_contents));
      given.tensors_.push_back(std::move(tensor));
    }
    return given;
  }

  const InputTensor* FindOrNull(absl::string_view name) const {
    for (const InputTensor& tensor : tensors_) {
      if (tensor.name() == name) return &tensor;
    }
    return nullptr;
  }

 private:
  std::vector<InputTensor> tensors_;
};

absl::Status TakeTexts(const GivenInputs& given, const RequestLimits& limits, serving::Request* request) {
  ASSIGN_OR_RETURN(const std::vector<absl::string_view> texts, given.FindOrNull(kText)->Texts(limits));
  request->texts.assign(texts.begin(), texts.end());
  request->texts_name = kText;
  const InputTensor* const pair = given.FindOrNull(kTextPair);
  if (pair == nullptr) return absl::OkStatus();
  ASSIGN_OR_RETURN(const std::vector<absl::string_view> pairs, pair->Texts(limits));
  if (pairs.size() != texts.size()) {
    return InvalidRequest(absl::StrCat(kTextPair, ": ", pairs.size(), " items for ", texts.size(), " of ", kText));
  }
  for (size_t i = 0; i < pairs.size(); ++i) request->texts[i].pair = pairs[i];
  return absl::OkStatus();
}

absl::StatusOr<int32_t> NarrowId(int64_t value, const char* name, size_t row) {
  if (std::in_range<int32_t>(value)) return static_cast<int32_t>(value);
  return InvalidRequest(absl::StrCat(name, "[", row, "]: id ", value, ", which does not fit 32 bits"));
}

// The tokens of a row: as many ones as its mask begins with.
absl::StatusOr<size_t> CountTokens(const InputTensor& mask, size_t row, size_t length) {
  size_t num_tokens = 0;
  while (num_tokens < length && mask.IntAt(row * length + num_tokens) == 1) ++num_tokens;
  for (size_t i = num_tokens; i < length; ++i) {
    if (mask.IntAt(row * length + i) != 0) {
      return InvalidRequest(
          absl::StrCat(mask.name(), "[", row, "]: not ones and then zeros; octet takes padding on the right only"));
    }
  }
  return num_tokens;
}

// input_ids with what may come beside it, all of one shape.
struct IdTensors {
  const InputTensor* ids;
  const InputTensor* mask;   // may be null: every position is a token
  const InputTensor* types;  // may be null: all zero
  InputTensor::Matrix shape;
};

absl::StatusOr<text::Encoding> EncodingOf(const IdTensors& tensors, size_t row) {
  const size_t length = tensors.shape.num_columns;
  size_t num_tokens = length;
  if (tensors.mask != nullptr) {
    ASSIGN_OR_RETURN(num_tokens, CountTokens(*tensors.mask, row, length));
  }
  text::Encoding encoding;
  encoding.ids.resize(num_tokens);
  encoding.type_ids.resize(num_tokens);
  encoding.num_tokens_before_truncation = num_tokens;
  for (size_t i = 0; i < num_tokens; ++i) {
    ASSIGN_OR_RETURN(encoding.ids[i], NarrowId(tensors.ids->IntAt(row * length + i), kInputIds, row));
    if (tensors.types == nullptr) continue;
    ASSIGN_OR_RETURN(encoding.type_ids[i], NarrowId(tensors.types->IntAt(row * length + i), kTokenTypeIds, row));
  }
  return encoding;
}

// Options that only mean something to a tokenizer.
absl::Status CheckNoTextOptions(const serving::Request& request) {
  if (request.truncate || request.truncation_side != text::TruncationSide::kRight) {
    return InvalidRequest(absl::StrCat("parameters: truncate and truncation_side need ", kText));
  }
  if (request.prompt_name) return InvalidRequest(absl::StrCat("parameters: prompt_name needs ", kText));
  return absl::OkStatus();
}

absl::StatusOr<size_t> TakeIds(const GivenInputs& given, const RequestLimits& limits, size_t max_length,
                               serving::Request* request) {
  RETURN_IF_ERROR(CheckNoTextOptions(*request));
  IdTensors tensors = {.ids = given.FindOrNull(kInputIds),
                       .mask = given.FindOrNull(kAttentionMask),
                       .types = given.FindOrNull(kTokenTypeIds),
                       .shape = {}};
  ASSIGN_OR_RETURN(tensors.shape, tensors.ids->CheckMatrix(limits, max_length));
  for (const InputTensor* const other : {tensors.mask, tensors.types}) {
    if (other == nullptr) continue;
    if (!other->HasShapeOf(*tensors.ids)) {
      return InvalidRequest(absl::StrCat(other->name(), ": shape ", other->ShapeText(), ", needed that of ", kInputIds,
                                         ", ", tensors.ids->ShapeText()));
    }
    RETURN_IF_ERROR(other->CheckMatrix(limits, max_length).status());
  }
  request->texts_name = kInputIds;
  request->encodings.reserve(tensors.shape.num_rows);
  for (size_t row = 0; row < tensors.shape.num_rows; ++row) {
    ASSIGN_OR_RETURN(text::Encoding encoding, EncodingOf(tensors, row));
    request->encodings.push_back(std::move(encoding));
  }
  return tensors.shape.num_columns;
}

// Either text, perhaps with text_pair, or input_ids, perhaps with attention_mask and token_type_ids.
absl::Status CheckCombination(const GivenInputs& given) {
  const auto has = [&](const char* name) { return given.FindOrNull(name) != nullptr; };
  if (has(kText) == has(kInputIds)) {
    return InvalidRequest(absl::StrCat("inputs: ", has(kText) ? "both " : "neither ", kText,
                                       has(kText) ? " and " : " nor ", kInputIds, ", one of them is needed"));
  }
  for (const char* const name : {kAttentionMask, kTokenTypeIds}) {
    if (has(kText) && has(name)) return InvalidRequest(absl::StrCat(name, ": given, but it belongs to ", kInputIds));
  }
  if (has(kInputIds) && has(kTextPair)) {
    return InvalidRequest(absl::StrCat(kTextPair, ": given, but it belongs to ", kText));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<size_t> TakeInputs(const ModelInferRequest& message, const model::ModelInfo& info,
                                  const RequestLimits& limits, serving::Request* request) {
  ASSIGN_OR_RETURN(const GivenInputs given, GivenInputs::Make(message, info));
  RETURN_IF_ERROR(CheckCombination(given));
  if (given.FindOrNull(kInputIds) != nullptr) return TakeIds(given, limits, info.max_tokens, request);
  RETURN_IF_ERROR(TakeTexts(given, limits, request));
  return 0;
}

}  // namespace octet::rpc
