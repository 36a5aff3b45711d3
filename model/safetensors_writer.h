// Writes a safetensors file: values held in memory beside tensors copied from other files as they are. The format:
// safetensors.h. Not thread-safe.
#ifndef OCTET_MODEL_SAFETENSORS_WRITER_H_
#define OCTET_MODEL_SAFETENSORS_WRITER_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "model/model_directory.h"
#include "model/safetensors.h"

namespace octet::model {

class SafetensorsWriter {
 public:
  // `values` is borrowed until Write. InvalidArgument for a second tensor of one name.
  template <typename T>
  absl::Status Add(const std::string& name, DType dtype, std::vector<uint64_t> shape, std::span<const T> values) {
    return AddEntry(name, {.dtype = dtype, .shape = std::move(shape), .bytes = std::as_bytes(values)});
  }
  // Values that the writer keeps.
  absl::Status AddOwned(const std::string& name, DType dtype, std::vector<uint64_t> shape,
                        std::vector<std::byte> bytes);
  // The tensor `info` of `file`, which must stay open until Write.
  absl::Status AddCopy(const std::string& name, const TensorInfo& info, const ModelFile* file);

  // Creates `path`, which must not exist, and writes it through to the disk. Internal or ResourceExhausted with the
  // system's reason; what was written stays for the caller to remove.
  absl::Status Write(const std::string& path) const;

 private:
  struct Entry {
    DType dtype = DType::kF32;
    std::vector<uint64_t> shape;
    std::span<const std::byte> bytes = {};  // or:
    const ModelFile* file = nullptr;
    uint64_t begin = 0, end = 0;

    uint64_t size() const { return file == nullptr ? bytes.size() : end - begin; }
  };
  absl::Status AddEntry(const std::string& name, Entry entry);
  // As they lie in the file: types with large elements first, so that every tensor is aligned to its own.
  std::vector<std::pair<std::string, Entry>> InOrder() const;
  std::string Header() const;

  std::map<std::string, Entry> entries_;
  std::vector<std::vector<std::byte>> owned_;
};

}  // namespace octet::model

#endif  // OCTET_MODEL_SAFETENSORS_WRITER_H_
