#include "model/safetensors.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/checked_math.h"
#include "base/status_macros.h"
#include "model/quote.h"
#include "model/strict_json.h"

namespace octet::model {
namespace {

constexpr uint64_t kLengthBytes = 8;
constexpr uint64_t kMaxHeaderBytes = 100'000'000;  // the reference reader's limit
constexpr size_t kMaxTensors = 100'000;
constexpr size_t kMaxRank = 8;
constexpr size_t kMaxHeaderDepth = 16;
// Per entry: the object, dtype, two arrays, two offsets and at most kMaxRank dimensions.
constexpr size_t kMaxValuesPerTensor = 6 + kMaxRank;

struct DTypeEntry {
  DType dtype;
  const char* name;
  uint64_t bytes;
  bool is_float;
};
// In the order of the enum.
constexpr std::array<DTypeEntry, 13> kDTypes = {{
    {DType::kF64, "F64", 8, true},
    {DType::kF32, "F32", 4, true},
    {DType::kF16, "F16", 2, true},
    {DType::kBf16, "BF16", 2, true},
    {DType::kI64, "I64", 8, false},
    {DType::kI32, "I32", 4, false},
    {DType::kI16, "I16", 2, false},
    {DType::kI8, "I8", 1, false},
    {DType::kU64, "U64", 8, false},
    {DType::kU32, "U32", 4, false},
    {DType::kU16, "U16", 2, false},
    {DType::kU8, "U8", 1, false},
    {DType::kBool, "BOOL", 1, false},
}};
const DTypeEntry& EntryOf(DType dtype) { return kDTypes[static_cast<size_t>(dtype)]; }

// A JSON whole number that is not negative.
std::optional<uint64_t> AsSize(const Json& value) {
  if (!value.is_number_unsigned()) return std::nullopt;
  return value.get<uint64_t>();
}

// Checks of one header; every error names the file and, where there is one, the tensor.
class HeaderParser {
 public:
  HeaderParser(const std::string& file, uint64_t data_begin, uint64_t file_size)
      : file_(file), data_begin_(data_begin), file_size_(file_size) {}

  absl::StatusOr<std::map<std::string, TensorInfo>> Parse(const Json& header) {
    std::map<std::string, TensorInfo> tensors;
    for (const auto& [name, entry] : header.items()) {
      if (name == "__metadata__") {
        RETURN_IF_ERROR(CheckMetadata(entry));
        continue;
      }
      ASSIGN_OR_RETURN(TensorInfo info, ParseTensor(name, entry));
      tensors.emplace(name, std::move(info));
    }
    RETURN_IF_ERROR(CheckCoverage(tensors));
    return tensors;
  }

 private:
  absl::Status Error(absl::string_view message) const {
    return absl::InvalidArgumentError(absl::StrCat(file_, ": ", message));
  }
  absl::Status TensorError(absl::string_view tensor, absl::string_view message) const {
    return Error(absl::StrCat("tensor ", Quote(tensor), ": ", message));
  }

  absl::Status CheckMetadata(const Json& metadata) const {
    if (!metadata.is_object()) return Error("header: __metadata__: not an object");
    for (const auto& [key, value] : metadata.items()) {
      if (!value.is_string()) {
        return Error(absl::StrCat("header: __metadata__: ", Quote(key), ": not a string"));
      }
    }
    return absl::OkStatus();
  }

  absl::StatusOr<TensorInfo> ParseTensor(const std::string& name, const Json& entry) const {
    if (name.empty()) return TensorError(name, "empty name");
    if (!entry.is_object()) return TensorError(name, "not an object");
    for (const auto& [key, value] : entry.items()) {
      if (key != "dtype" && key != "shape" && key != "data_offsets") {
        return TensorError(name, absl::StrCat("unknown key ", Quote(key)));
      }
    }
    if (entry.size() != 3) return TensorError(name, "needs dtype, shape and data_offsets");
    TensorInfo info;
    RETURN_IF_ERROR(ParseDType(name, entry["dtype"], &info));
    RETURN_IF_ERROR(ParseShape(name, entry["shape"], &info));
    RETURN_IF_ERROR(ParseOffsets(name, entry["data_offsets"], &info));
    return info;
  }

  absl::Status ParseDType(const std::string& name, const Json& value, TensorInfo* info) const {
    for (const DTypeEntry& known : kDTypes) {
      if (value.is_string() && value.get_ref<const std::string&>() == known.name) {
        info->dtype = known.dtype;
        return absl::OkStatus();
      }
    }
    return TensorError(name, absl::StrCat("unknown dtype ", ShowJson(value)));
  }

  absl::Status ParseShape(const std::string& name, const Json& value, TensorInfo* info) const {
    if (!value.is_array()) return TensorError(name, "shape: not an array");
    if (value.size() > kMaxRank) {
      return TensorError(name, absl::StrCat("shape: rank ", value.size(), ", limit ", kMaxRank));
    }
    for (const Json& dimension : value) {
      const std::optional<uint64_t> size = AsSize(dimension);
      if (!size) {
        return TensorError(name, absl::StrCat("shape: got ", ShowJson(dimension), ", allowed whole numbers from 0"));
      }
      info->shape.push_back(*size);
    }
    return absl::OkStatus();
  }

  absl::Status ParseOffsets(const std::string& name, const Json& value, TensorInfo* info) const {
    const bool is_pair = value.is_array() && value.size() == 2;
    const std::optional<uint64_t> begin = is_pair ? AsSize(value[0]) : std::nullopt;
    const std::optional<uint64_t> end = is_pair ? AsSize(value[1]) : std::nullopt;
    if (!begin || !end) {
      return TensorError(name, "data_offsets: not two whole numbers from 0");
    }
    if (*begin > *end) return TensorError(name, "data_offsets: begin after end");
    if (*end > file_size_ - data_begin_) {
      return TensorError(
          name, absl::StrCat("data_offsets: end ", *end, " past the end of the data, ", file_size_ - data_begin_));
    }
    const std::optional<uint64_t> count = CheckedProduct(info->shape);
    const std::optional<uint64_t> bytes = count ? CheckedMul(*count, DTypeBytes(info->dtype)) : std::nullopt;
    if (!bytes) return TensorError(name, "shape: size overflows 64 bits");
    if (*bytes != *end - *begin) {
      return TensorError(name, absl::StrCat("shape needs ", *bytes, " bytes, data_offsets give ", *end - *begin));
    }
    info->begin = data_begin_ + *begin;  // no overflow: both are at most the file's size
    info->end = data_begin_ + *end;
    return absl::OkStatus();
  }

  absl::Status CheckCoverage(const std::map<std::string, TensorInfo>& tensors) const {
    std::vector<const std::pair<const std::string, TensorInfo>*> by_position;
    by_position.reserve(tensors.size());
    for (const auto& tensor : tensors) by_position.push_back(&tensor);
    // Tensors without data may share a position with the next one: `end` breaks the tie.
    std::sort(by_position.begin(), by_position.end(), [](const auto* a, const auto* b) {
      return std::pair(a->second.begin, a->second.end) < std::pair(b->second.begin, b->second.end);
    });
    uint64_t covered = data_begin_;
    for (const auto* tensor : by_position) {
      if (tensor->second.begin != covered) {
        return TensorError(tensor->first,
                           absl::StrCat("offsets not contiguous: begins at ", tensor->second.begin - data_begin_,
                                        ", expected ", covered - data_begin_));
      }
      covered = tensor->second.end;
    }
    if (covered != file_size_) {
      return Error(absl::StrCat("file not fully covered: ", file_size_ - covered, " bytes after the last tensor"));
    }
    return absl::OkStatus();
  }

  const std::string& file_;
  const uint64_t data_begin_;
  const uint64_t file_size_;
};

// The header's text; its length is checked against the file before it is allocated.
absl::StatusOr<std::string> ReadHeaderText(const ModelFile& file) {
  const auto error = [&file](absl::string_view message) {
    return absl::InvalidArgumentError(absl::StrCat(file.name(), ": ", message));
  };
  if (file.size() < kLengthBytes) {
    return error(absl::StrCat("header too small: file has ", file.size(), " bytes"));
  }
  std::array<std::byte, kLengthBytes> raw;
  RETURN_IF_ERROR(file.ReadAt(0, raw));
  uint64_t length;
  std::memcpy(&length, raw.data(), sizeof(length));  // little-endian, as this machine
  if (length < 2) return error(absl::StrCat("header too small: length ", length));
  if (length > kMaxHeaderBytes) {
    return error(absl::StrCat("header too large: ", length, " bytes, limit ", kMaxHeaderBytes));
  }
  if (length > file.size() - kLengthBytes) {
    return error(absl::StrCat("header past end of file: ", length, " bytes, file has ", file.size() - kLengthBytes));
  }
  std::string text(length, '\0');
  RETURN_IF_ERROR(file.ReadAt(kLengthBytes, std::as_writable_bytes(std::span(text.data(), text.size()))));
  return text;
}

}  // namespace

absl::string_view DTypeName(DType dtype) { return EntryOf(dtype).name; }
uint64_t DTypeBytes(DType dtype) { return EntryOf(dtype).bytes; }
bool IsFloat(DType dtype) { return EntryOf(dtype).is_float; }

std::string ShapeString(const std::vector<uint64_t>& shape) {
  return absl::StrCat("[", absl::StrJoin(shape, ", "), "]");
}

absl::StatusOr<std::map<std::string, TensorInfo>> ReadSafetensorsHeader(const ModelFile& file) {
  ASSIGN_OR_RETURN(const std::string text, ReadHeaderText(file));
  const std::string what = absl::StrCat(file.name(), ": header");
  const size_t first = text.find_first_not_of(" \t\r\n");
  if (first == std::string::npos || text[first] != '{') {
    return absl::InvalidArgumentError(
        absl::StrCat(what, ": byte ", first == std::string::npos ? text.size() : first, ": no opening brace"));
  }
  // One key more than tensors: __metadata__. Its own entries count as values too.
  const JsonLimits limits = {
      .max_depth = kMaxHeaderDepth, .max_keys = kMaxTensors + 1, .max_values = kMaxTensors * kMaxValuesPerTensor};
  ASSIGN_OR_RETURN(const Json header, ParseStrictJson(text, what, limits));
  return HeaderParser(file.name(), kLengthBytes + text.size(), file.size()).Parse(header);
}

}  // namespace octet::model
