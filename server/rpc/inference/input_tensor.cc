#include "server/rpc/inference/input_tensor.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status_macros.h"
#include "server/rpc/inference/infer_parameters.h"
#include "server/rpc/message_bytes.h"
#include "server/rpc/message_parts.h"
#include "text/utf8.h"

namespace octet::rpc {
namespace {

static_assert(std::endian::native == std::endian::little, "raw numbers are read as they came");

// Values in fields other than that of `spec`'s datatype.
bool HasOtherValues(const TensorSpec& spec, const ::inference::InferTensorContents& contents) {
  const bool has_others = !contents.bool_contents().empty() || !contents.int_contents().empty() ||
                          !contents.uint_contents().empty() || !contents.uint64_contents().empty() ||
                          !contents.fp32_contents().empty() || !contents.fp64_contents().empty();
  const bool takes_text = spec.datatype == absl::string_view(kBytes);
  return has_others || (takes_text ? !contents.int64_contents().empty() : !contents.bytes_contents().empty());
}

// Takes the next text of a raw BYTES tensor off `raw`: its size in four bytes, little-endian, then itself.
bool TakeText(absl::string_view* raw, absl::string_view* text) {
  uint32_t size;
  if (raw->size() < sizeof(size)) return false;
  std::memcpy(&size, raw->data(), sizeof(size));
  raw->remove_prefix(sizeof(size));
  if (raw->size() < size) return false;
  *text = raw->substr(0, size);
  raw->remove_prefix(size);
  return true;
}

absl::Status CheckText(const char* name, size_t text_idx, absl::string_view text, const RequestLimits& limits) {
  if (text.size() > limits.max_text_bytes) {
    return TooLong(absl::StrCat(name, "[", text_idx, "]: ", text.size(), " bytes, limit ", limits.max_text_bytes));
  }
  if (const auto position = text::FindInvalidUtf8(text)) {
    return InvalidRequest(absl::StrCat(name, "[", text_idx, "]: not valid UTF-8 at byte ", *position));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<InputTensor> InputTensor::Make(const TensorSpec& spec, const Message& message,
                                              std::optional<absl::string_view> raw) {
  const InputTensor tensor(spec.name, message, raw);
  if (message.datatype() != spec.datatype) {
    return InvalidRequest(
        absl::StrCat(spec.name, ": datatype ", QuoteName(message.datatype()), ", needed ", spec.datatype));
  }
  RETURN_IF_ERROR(CheckNoParameters(message.parameters(), spec.name));
  RETURN_IF_ERROR(tensor.CheckContents(spec));
  return tensor;
}

absl::Status InputTensor::CheckContents(const TensorSpec& spec) const {
  if (raw_ && message_->has_contents()) {
    return InvalidRequest(absl::StrCat(name_, ": contents and raw_input_contents, one of them is needed"));
  }
  if (HasOtherValues(spec, message_->contents())) {
    return InvalidRequest(absl::StrCat(name_, ": contents of another type than ", spec.datatype));
  }
  return absl::OkStatus();
}

bool InputTensor::HasShapeOf(const InputTensor& other) const {
  return std::equal(message_->shape().begin(), message_->shape().end(), other.message_->shape().begin(),
                    other.message_->shape().end());
}

std::string InputTensor::ShapeText() const {
  constexpr int kMaxShown = 4;
  const auto& shape = message_->shape();
  if (shape.size() > kMaxShown) return absl::StrCat(shape.size(), " dimensions");
  return absl::StrCat("[", absl::StrJoin(shape, ", "), "]");
}

absl::StatusOr<size_t> InputTensor::NumTexts(const RequestLimits& limits) const {
  const auto& shape = message_->shape();
  const bool is_list = shape.size() == 1 || (shape.size() == 2 && shape[1] == 1);
  if (!is_list || shape[0] < 0) {
    return InvalidRequest(absl::StrCat(name_, ": shape ", ShapeText(), ", needed [n] or [n, 1]"));
  }
  if (shape[0] == 0) return InvalidRequest(absl::StrCat(name_, ": empty"));
  if (static_cast<uint64_t>(shape[0]) > limits.max_texts) {
    return InvalidRequest(absl::StrCat(name_, ": ", shape[0], " items, limit ", limits.max_texts));
  }
  return static_cast<size_t>(shape[0]);
}

absl::StatusOr<std::vector<absl::string_view>> InputTensor::Texts(const RequestLimits& limits) const {
  ASSIGN_OR_RETURN(const size_t num_texts, NumTexts(limits));
  const auto& typed = message_->contents().bytes_contents();
  if (!raw_ && static_cast<size_t>(typed.size()) != num_texts) {
    return InvalidRequest(absl::StrCat(name_, ": ", typed.size(), " texts, its shape needs ", num_texts));
  }
  absl::string_view rest = raw_.value_or("");
  std::vector<absl::string_view> texts(num_texts);
  for (size_t i = 0; i < num_texts; ++i) {
    if (!raw_) {
      texts[i] = typed[static_cast<int>(i)];
    } else if (!TakeText(&rest, &texts[i])) {
      return InvalidRequest(
          absl::StrCat(name_, "[", i, "]: raw contents end within it, each text needs 4 bytes of size and its bytes"));
    }
    RETURN_IF_ERROR(CheckText(name_, i, texts[i], limits));
  }
  if (!rest.empty()) {
    return InvalidRequest(absl::StrCat(name_, ": ", rest.size(), " raw bytes behind the ", num_texts, " of its shape"));
  }
  return texts;
}

absl::StatusOr<InputTensor::Matrix> InputTensor::CheckMatrix(const RequestLimits& limits, size_t max_columns) const {
  const auto& shape = message_->shape();
  if (shape.size() != 2 || shape[0] < 0 || shape[1] < 0) {
    return InvalidRequest(absl::StrCat(name_, ": shape ", ShapeText(), ", needed [n, length]"));
  }
  if (shape[0] == 0 || shape[1] == 0) return InvalidRequest(absl::StrCat(name_, ": empty"));
  if (static_cast<uint64_t>(shape[0]) > limits.max_texts) {
    return InvalidRequest(absl::StrCat(name_, ": ", shape[0], " items, limit ", limits.max_texts));
  }
  if (static_cast<uint64_t>(shape[1]) > max_columns) {
    return TooLong(absl::StrCat(name_, ": shape ", ShapeText(), ", row limit ", max_columns));
  }
  const Matrix matrix = {.num_rows = static_cast<size_t>(shape[0]), .num_columns = static_cast<size_t>(shape[1])};
  const size_t num_values = matrix.num_rows * matrix.num_columns;  // of two limits: it cannot overflow
  if (raw_ && raw_->size() != num_values * sizeof(int64_t)) {
    return InvalidRequest(
        absl::StrCat(name_, ": ", raw_->size(), " bytes, its shape needs ", num_values * sizeof(int64_t)));
  }
  const auto num_typed = static_cast<size_t>(message_->contents().int64_contents_size());
  if (!raw_ && num_typed != num_values) {
    return InvalidRequest(absl::StrCat(name_, ": ", num_typed, " values, its shape needs ", num_values));
  }
  return matrix;
}

int64_t InputTensor::IntAt(size_t idx) const {
  if (!raw_) return message_->contents().int64_contents(static_cast<int>(idx));
  int64_t value;
  std::memcpy(&value, raw_->data() + idx * sizeof(value), sizeof(value));
  return value;
}

}  // namespace octet::rpc
