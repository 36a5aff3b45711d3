// Named tensors of a model directory (model.safetensors, or the shards of its index), checked as a whole
// before any is read: header, offsets, shapes, names. Tensors are then converted to f32 one at a time in
// small chunks, so that loading never holds more than one of them beside what is kept. Not thread-safe.
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
#include "model/encoder_config.h"
#include "model/model_directory.h"
#include "model/safetensors.h"

namespace octet::model {

// A tensor's name as the engine knows it: `spelled` without the family's optional prefix and old spelling.
std::string CanonicalTensorName(absl::string_view spelled, const TensorNames& names);

class Weights {
 public:
  // InvalidArgument / DataLoss / NotFound with one line naming file and tensor (reliability table
  // F1-F18). `names` gives the family's optional prefix and old spellings, which are removed: one tensor
  // in two spellings is refused.
  static absl::StatusOr<std::unique_ptr<Weights>> Open(const ModelDirectory& directory,
                                                       const TensorNames& names = TensorNamesOf("bert"));
  ~Weights();
  Weights(const Weights&) = delete;
  Weights& operator=(const Weights&) = delete;

  // Without the family's prefix.
  bool Has(absl::string_view name) const;
  const std::map<std::string, TensorInfo>& tensors() const { return tensors_; }
  // Names of the weight files, in file_idx order.
  std::vector<std::string> file_names() const;

  // Reads tensor `name`, which must have exactly `shape`, as f32 into `out` (product of shape).
  // InvalidArgument naming the tensor when it is missing, of another shape, of an integer type, or holds
  // a NaN or an infinity. DataLoss when the file changed. Marks the tensor as used.
  absl::Status ReadF32(absl::string_view name, std::span<const uint64_t> shape, std::span<float> out);

  // As ReadF32 for a tensor of 8-bit whole numbers (dtype I8), as they are.
  absl::Status ReadS8(absl::string_view name, std::span<const uint64_t> shape, std::span<int8_t> out);

  // Names that nothing has read, for a warning. (position_ids and the like are normal: see
  // TensorNames::normal_extras.)
  std::vector<std::string> Unused() const;

  // Sum of the weight files' sizes, and the size in f32 of the largest floating-point tensor.
  uint64_t file_bytes() const;
  uint64_t largest_tensor_f32_bytes() const;
  // Memory that ReadF32 uses beside `out`.
  static uint64_t scratch_bytes();

  // Verifies that no file changed since Open; returns the version: the first 12 hex digits of a digest
  // over name, dtype, shape and raw bytes of every tensor read (SHA-256 over their sorted list with
  // content_hash.h's checksum of the bytes). It does not depend on the order of reading, the prefix or
  // the sharding. Call once, after the last read.
  absl::StatusOr<std::string> Finish();

 private:
  struct Digest;
  Weights();
  absl::Status OpenSingle(const ModelDirectory& directory, const TensorNames& names);
  absl::Status OpenShards(const ModelDirectory& directory, const TensorNames& names);
  absl::StatusOr<std::map<std::string, TensorInfo>> AddFile(const ModelDirectory& directory,
                                                            absl::string_view file_name);
  absl::Status AddTensor(const std::string& spelled, const TensorInfo& info, const TensorNames& names);
  // The tensor `name`, which must have that shape; marks it as used.
  absl::StatusOr<const TensorInfo*> FindToRead(absl::string_view name, std::span<const uint64_t> shape);
  absl::Status ReadChunks(const std::string& name, const TensorInfo& info, std::span<float> out);

  std::vector<std::unique_ptr<ModelFile>> files_;
  std::map<std::string, TensorInfo> tensors_;
  std::set<std::string> used_;
  std::unique_ptr<Digest> digest_;
};

}  // namespace octet::model

#endif  // OCTET_MODEL_WEIGHTS_H_
