#include "model/safetensors_writer.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/rounding.h"
#include "base/status_macros.h"
#include "model/durable_file.h"
#include "model/quote.h"
#include "nlohmann/json.hpp"

namespace octet::model {
namespace {

// Tensors begin on a multiple of this: the header is filled up with spaces.
constexpr size_t kAlignment = 64;
constexpr size_t kChunkBytes = 1 << 20;

absl::Status CopyRange(const ModelFile& file, uint64_t begin, uint64_t end, DurableFile* out) {
  std::vector<std::byte> chunk(kChunkBytes);
  while (begin < end) {
    const std::span<std::byte> part = std::span(chunk).first(std::min<uint64_t>(kChunkBytes, end - begin));
    RETURN_IF_ERROR(file.ReadAt(begin, part));
    RETURN_IF_ERROR(out->Append(part));
    begin += part.size();
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status SafetensorsWriter::AddEntry(const std::string& name, Entry entry) {
  if (!entries_.emplace(name, std::move(entry)).second) {
    return absl::InvalidArgumentError(absl::StrCat("tensor ", Quote(name), ": written twice"));
  }
  return absl::OkStatus();
}

absl::Status SafetensorsWriter::AddOwned(const std::string& name, DType dtype, std::vector<uint64_t> shape,
                                         std::vector<std::byte> bytes) {
  owned_.push_back(std::move(bytes));  // a moved vector keeps its memory
  return AddEntry(name, {.dtype = dtype, .shape = std::move(shape), .bytes = owned_.back()});
}

absl::Status SafetensorsWriter::AddCopy(const std::string& name, const TensorInfo& info, const ModelFile* file) {
  return AddEntry(name, {.dtype = info.dtype, .shape = info.shape, .file = file, .begin = info.begin, .end = info.end});
}

std::vector<std::pair<std::string, SafetensorsWriter::Entry>> SafetensorsWriter::InOrder() const {
  std::vector<std::pair<std::string, Entry>> entries(entries_.begin(), entries_.end());
  std::stable_sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) {
    return DTypeBytes(a.second.dtype) > DTypeBytes(b.second.dtype);
  });
  return entries;
}

std::string SafetensorsWriter::Header() const {
  nlohmann::json header = {{"__metadata__", {{"format", "pt"}}}};
  uint64_t offset = 0;
  for (const auto& [name, entry] : InOrder()) {
    const absl::string_view dtype = DTypeName(entry.dtype);
    header[name] = {{"dtype", std::string(dtype.data(), dtype.size())},
                    {"shape", entry.shape},
                    {"data_offsets", {offset, offset + entry.size()}}};
    offset += entry.size();
  }
  std::string text = header.dump();
  const size_t length = RoundUp(sizeof(uint64_t) + text.size(), kAlignment);
  text.resize(length - sizeof(uint64_t), ' ');
  return text;
}

absl::Status SafetensorsWriter::Write(const std::string& path) const {
  const std::string header = Header();
  const uint64_t header_bytes = header.size();  // little-endian as every machine that this runs on
  DurableFile file(path);
  RETURN_IF_ERROR(file.Append(std::as_bytes(std::span(&header_bytes, 1))));
  RETURN_IF_ERROR(file.Append(header));
  for (const auto& [name, entry] : InOrder()) {
    RETURN_IF_ERROR(entry.file == nullptr ? file.Append(entry.bytes)
                                          : CopyRange(*entry.file, entry.begin, entry.end, &file));
  }
  return file.Sync();
}

}  // namespace octet::model
