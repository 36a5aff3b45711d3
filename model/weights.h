// Named tensors of a model directory (model.safetensors, or the shards of its index), checked as a whole
// before any is read: header, offsets, shapes, names. Tensors are then converted to f32 one at a time, so
// that loading never holds more than one of them beside what is kept.
#ifndef OCTET_MODEL_WEIGHTS_H_
#define OCTET_MODEL_WEIGHTS_H_

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/aligned_buffer.h"
#include "model/model_directory.h"

namespace octet::model {

enum class DType { kF32, kF16, kBf16, kF64, kI64, kI32, kI16, kI8, kU8, kBool };

struct TensorInfo {
  DType dtype = DType::kF32;
  std::vector<uint64_t> shape;
  uint64_t file_idx = 0;
  uint64_t begin = 0, end = 0;  // byte range in the file
};

class Weights {
 public:
  // InvalidArgument / DataLoss with one line naming file and tensor (reliability table F1-F18).
  static absl::StatusOr<std::unique_ptr<Weights>> Open(const ModelDirectory& directory);
  ~Weights();

  // Spelled with or without the family's prefix ("bert."), which Open finds and strips; both spellings of
  // one tensor are refused.
  bool Has(absl::string_view name) const;
  const std::map<std::string, TensorInfo>& tensors() const { return tensors_; }

  // Reads tensor `name`, which must have exactly `shape`, as f32 into `out` (product of shape).
  // InvalidArgument naming the tensor when it is missing, of another shape, of an integer type, or holds
  // a NaN or an infinity. Marks the tensor as used.
  absl::Status ReadF32(absl::string_view name, std::span<const uint64_t> shape, std::span<float> out);

  // Names that nothing has read, for a warning. (position_ids and the like are normal.)
  std::vector<std::string> Unused() const;

  // Sum of the weight files' sizes, and the size in f32 of the largest floating-point tensor.
  uint64_t file_bytes() const;
  uint64_t largest_tensor_f32_bytes() const;

  // Verifies that no file changed since Open; returns the version: the first 12 hex digits of the
  // SHA-256 over (name, dtype, shape, raw bytes) of every tensor read. Call once, after the last read.
  absl::StatusOr<std::string> Finish();

 private:
  struct Digest;
  Weights();
  std::vector<std::unique_ptr<ModelFile>> files_;
  std::map<std::string, TensorInfo> tensors_;
  std::set<std::string> used_;
  std::unique_ptr<Digest> digest_;
};

}  // namespace octet::model

#endif  // OCTET_MODEL_WEIGHTS_H_
