// The header of a safetensors file, checked as a whole against the real file before anything is read or
// allocated for a tensor. Format: 8 bytes little-endian header length, a JSON object of that length, then
// the tensors without gaps. Source: the format's own description (huggingface/safetensors, README).
// Stricter where a reader has to choose: no unknown keys in an entry, at most rank 8 and 100,000 entries.
#ifndef OCTET_MODEL_SAFETENSORS_H_
#define OCTET_MODEL_SAFETENSORS_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "model/model_directory.h"

namespace octet::model {

enum class DType { kF64, kF32, kF16, kBf16, kI64, kI32, kI16, kI8, kU64, kU32, kU16, kU8, kBool };

// "F32", "BF16", ...: the format's names.
absl::string_view DTypeName(DType dtype);
uint64_t DTypeBytes(DType dtype);
bool IsFloat(DType dtype);

struct TensorInfo {
  DType dtype = DType::kF32;
  std::vector<uint64_t> shape;
  uint64_t file_idx = 0;
  uint64_t begin = 0, end = 0;  // byte range in the file
};

// "[2, 3]".
std::string ShapeString(const std::vector<uint64_t>& shape);

// Tensors by name, as spelled in the file; file_idx is 0. Guarantees: byte ranges lie in the file, follow
// each other without hole or overlap up to the file's end, and equal shape times element size.
// InvalidArgument with one line that begins with the file's name (reliability table F1-F10).
absl::StatusOr<std::map<std::string, TensorInfo>> ReadSafetensorsHeader(const ModelFile& file);

}  // namespace octet::model

#endif  // OCTET_MODEL_SAFETENSORS_H_
