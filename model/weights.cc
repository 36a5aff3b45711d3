#include "model/weights.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/checked_math.h"
#include "base/status_macros.h"
#include "model/content_hash.h"
#include "model/float_convert.h"
#include "model/quote.h"
#include "model/sha256.h"
#include "model/strict_json.h"

namespace octet::model {
namespace {

constexpr char kSingleFile[] = "model.safetensors";
constexpr char kIndexFile[] = "model.safetensors.index.json";
constexpr size_t kMaxShards = 1000;
constexpr uint64_t kMaxIndexBytes = 32 << 20;  // 100,000 entries of 300 bytes
// Read, checksum and conversion of one chunk stay within a 1 MiB L2 cache.
constexpr size_t kChunkBytes = 256 << 10;

constexpr const char* kPickleFiles[] = {
    "pytorch_model.bin", "pytorch_model.bin.index.json", "model.pt", "model.pth", "model.ckpt", "model.pkl"};

absl::Status TensorError(absl::string_view name, absl::string_view message) {
  return absl::InvalidArgumentError(absl::StrCat("tensor ", Quote(name), ": ", message));
}

absl::Status NoWeightsError(const ModelDirectory& directory) {
  for (const char* name : kPickleFiles) {
    if (directory.Exists(name)) {
      return absl::InvalidArgumentError(
          absl::StrCat(name, ": pickle checkpoints are not supported, convert it to ", kSingleFile));
    }
  }
  return absl::NotFoundError(absl::StrCat(kSingleFile, ": not found in the model directory, nor ", kIndexFile));
}

// Shard names as the reference writes them; anything with a path in it is refused here already.
absl::Status CheckShardName(const Json& shard) {
  const std::string* const name = shard.is_string() ? &shard.get_ref<const std::string&>() : nullptr;
  const auto is_plain = [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '.' || c == '_' || c == '-';
  };
  if (name == nullptr || !absl::EndsWith(*name, ".safetensors") || (*name)[0] == '.' || name->size() > 255 ||
      !std::all_of(name->begin(), name->end(), is_plain)) {
    return absl::InvalidArgumentError(
        absl::StrCat(kIndexFile, ": shard name ", ShowJson(shard), ": not a plain file name ending in .safetensors"));
  }
  return absl::OkStatus();
}

// weight_map of the index: tensor name to shard name.
absl::StatusOr<std::map<std::string, std::string>> ReadWeightMap(const ModelDirectory& directory) {
  ASSIGN_OR_RETURN(const std::string text, directory.ReadSmallFile(kIndexFile, kMaxIndexBytes));
  ASSIGN_OR_RETURN(const Json index, ParseStrictJson(text, kIndexFile));
  const auto entry = index.is_object() ? index.find("weight_map") : index.end();
  if (entry == index.end() || !entry->is_object()) {
    return absl::InvalidArgumentError(absl::StrCat(kIndexFile, ": weight_map: not an object"));
  }
  std::map<std::string, std::string> weight_map;
  std::set<std::string> shards;
  for (const auto& [tensor, shard] : entry->items()) {
    RETURN_IF_ERROR(CheckShardName(shard));
    shards.insert(shard.get<std::string>());
    if (shards.size() > kMaxShards) {
      return absl::InvalidArgumentError(absl::StrCat(kIndexFile, ": more than ", kMaxShards, " shards"));
    }
    weight_map.emplace(tensor, shard.get<std::string>());
  }
  return weight_map;
}

// `raw` holds out.size() elements of a floating-point type. False when one is not finite.
bool Convert(DType dtype, const std::byte* raw, std::span<float> out) {
  switch (dtype) {
    case DType::kF16:
      return ConvertF16({reinterpret_cast<const uint16_t*>(raw), out.size()}, out);
    case DType::kBf16:
      return ConvertBf16({reinterpret_cast<const uint16_t*>(raw), out.size()}, out);
    case DType::kF64:
      return ConvertF64({reinterpret_cast<const double*>(raw), out.size()}, out);
    default:
      return false;
  }
}

}  // namespace

std::string CanonicalTensorName(absl::string_view spelled, const TensorNames& names) {
  if (!names.prefix.empty()) absl::ConsumePrefix(&spelled, names.prefix);
  for (const auto& [old_suffix, suffix] : names.suffix_aliases) {
    if (absl::EndsWith(spelled, old_suffix)) {
      return absl::StrCat(absl::StripSuffix(spelled, old_suffix), suffix);
    }
  }
  return std::string(spelled);
}

struct Weights::Digest {
  std::map<std::string, ContentHash::Value> tensors;  // by name, so that the order of reading is gone
  AlignedBuffer<std::byte> chunk{kChunkBytes};        // raw elements of the types that are converted
};

Weights::Weights() : digest_(std::make_unique<Digest>()) {}
Weights::~Weights() = default;

absl::StatusOr<std::unique_ptr<Weights>> Weights::Open(const ModelDirectory& directory, const TensorNames& names) {
  auto weights = std::unique_ptr<Weights>(new Weights());
  if (directory.Exists(kSingleFile)) {
    RETURN_IF_ERROR(weights->OpenSingle(directory, names));
  } else if (directory.Exists(kIndexFile)) {
    RETURN_IF_ERROR(weights->OpenShards(directory, names));
  } else {
    return NoWeightsError(directory);
  }
  return weights;
}

absl::Status Weights::OpenSingle(const ModelDirectory& directory, const TensorNames& names) {
  ASSIGN_OR_RETURN(const auto tensors, AddFile(directory, kSingleFile));
  for (const auto& [name, info] : tensors) RETURN_IF_ERROR(AddTensor(name, info, names));
  return absl::OkStatus();
}

absl::Status Weights::OpenShards(const ModelDirectory& directory, const TensorNames& names) {
  ASSIGN_OR_RETURN(const auto weight_map, ReadWeightMap(directory));
  std::set<std::string> shards;
  for (const auto& [tensor, shard] : weight_map) shards.insert(shard);
  size_t num_found = 0;
  for (const std::string& shard : shards) {
    ASSIGN_OR_RETURN(const auto tensors, AddFile(directory, shard));
    for (const auto& [name, info] : tensors) {
      const auto listed = weight_map.find(name);
      if (listed == weight_map.end() || listed->second != shard) {
        return absl::InvalidArgumentError(absl::StrCat(
            kIndexFile, ": tensor ", Quote(name), " of ", shard,
            listed == weight_map.end() ? " is not listed" : absl::StrCat(" is listed for ", listed->second)));
      }
      ++num_found;
      RETURN_IF_ERROR(AddTensor(name, info, names));
    }
  }
  if (num_found == weight_map.size()) return absl::OkStatus();
  for (const auto& [name, shard] : weight_map) {
    if (tensors_.count(CanonicalTensorName(name, names)) == 0) {
      return absl::InvalidArgumentError(absl::StrCat(kIndexFile, ": tensor ", Quote(name), " is not in ", shard));
    }
  }
  return absl::InternalError(absl::StrCat(kIndexFile, ": tensor count"));
}

absl::StatusOr<std::map<std::string, TensorInfo>> Weights::AddFile(const ModelDirectory& directory,
                                                                   absl::string_view file_name) {
  ASSIGN_OR_RETURN(std::unique_ptr<ModelFile> file, directory.OpenFile(file_name));
  ASSIGN_OR_RETURN(auto tensors, ReadSafetensorsHeader(*file));
  for (auto& [name, info] : tensors) info.file_idx = files_.size();
  files_.push_back(std::move(file));
  return tensors;
}

absl::Status Weights::AddTensor(const std::string& spelled, const TensorInfo& info, const TensorNames& names) {
  const std::string name = CanonicalTensorName(spelled, names);
  if (!tensors_.emplace(name, info).second) {
    return TensorError(name, absl::StrCat("stored twice, once as ", Quote(spelled)));
  }
  return absl::OkStatus();
}

bool Weights::Has(absl::string_view name) const { return tensors_.count(std::string(name)) != 0; }

std::vector<std::string> Weights::file_names() const {
  std::vector<std::string> names;
  for (const auto& file : files_) names.push_back(file->name());
  return names;
}

absl::StatusOr<const TensorInfo*> Weights::FindToRead(absl::string_view name, std::span<const uint64_t> shape) {
  const auto found = tensors_.find(std::string(name));
  if (found == tensors_.end()) return TensorError(name, "missing");
  const TensorInfo& info = found->second;
  if (!std::equal(shape.begin(), shape.end(), info.shape.begin(), info.shape.end())) {
    return TensorError(name, absl::StrCat("shape ", ShapeString(info.shape), ", expected ",
                                          ShapeString({shape.begin(), shape.end()})));
  }
  used_.insert(found->first);
  return &info;
}

absl::Status Weights::ReadF32(absl::string_view name, std::span<const uint64_t> shape, std::span<float> out) {
  ASSIGN_OR_RETURN(const TensorInfo* const info, FindToRead(name, shape));
  if (!IsFloat(info->dtype)) {
    return TensorError(name, absl::StrCat("dtype ", DTypeName(info->dtype), ", expected F32, F16, BF16 or F64"));
  }
  if ((info->end - info->begin) / DTypeBytes(info->dtype) != out.size()) {
    return absl::InternalError(absl::StrCat("tensor ", Quote(name), ": output has another size"));
  }
  return ReadChunks(std::string(name), *info, out);
}

absl::Status Weights::ReadS8(absl::string_view name, std::span<const uint64_t> shape, std::span<int8_t> out) {
  ASSIGN_OR_RETURN(const TensorInfo* const info, FindToRead(name, shape));
  if (info->dtype != DType::kI8) {
    return TensorError(name, absl::StrCat("dtype ", DTypeName(info->dtype), ", expected I8"));
  }
  if (info->end - info->begin != out.size()) {
    return absl::InternalError(absl::StrCat("tensor ", Quote(name), ": output has another size"));
  }
  RETURN_IF_ERROR(files_[info->file_idx]->ReadAt(info->begin, std::as_writable_bytes(out)));
  ContentHash hash;
  hash.Update(std::as_bytes(out));
  digest_->tensors[std::string(name)] = hash.Get();
  return absl::OkStatus();
}

absl::Status Weights::ReadChunks(const std::string& name, const TensorInfo& info, std::span<float> out) {
  const ModelFile& file = *files_[info.file_idx];
  const uint64_t element_bytes = DTypeBytes(info.dtype);
  const size_t chunk_elements = kChunkBytes / element_bytes;
  ContentHash hash;
  uint64_t offset = info.begin;
  for (size_t done = 0; done < out.size(); done += chunk_elements) {
    const std::span<float> part = out.subspan(done, std::min(chunk_elements, out.size() - done));
    // f32 needs no second buffer: it is read to where it stays.
    const std::span<std::byte> raw = info.dtype == DType::kF32
                                         ? std::as_writable_bytes(part)
                                         : digest_->chunk.span().first(part.size() * element_bytes);
    RETURN_IF_ERROR(file.ReadAt(offset, raw));
    hash.Update(raw);
    const bool finite = info.dtype == DType::kF32 ? AllFinite(part) : Convert(info.dtype, raw.data(), part);
    if (!finite) return absl::InvalidArgumentError(absl::StrCat("non-finite weight in ", Quote(name)));
    offset += raw.size();
  }
  digest_->tensors[name] = hash.Get();
  return absl::OkStatus();
}

std::vector<std::string> Weights::Unused() const {
  std::vector<std::string> unused;
  for (const auto& [name, info] : tensors_) {
    if (used_.count(name) == 0) unused.push_back(name);
  }
  return unused;
}

uint64_t Weights::file_bytes() const {
  uint64_t bytes = 0;  // cannot overflow: at most kMaxShards real files
  for (const auto& file : files_) bytes += file->size();
  return bytes;
}

uint64_t Weights::largest_tensor_f32_bytes() const {
  uint64_t largest = 0;
  for (const auto& [name, info] : tensors_) {
    if (!IsFloat(info.dtype)) continue;
    // At most twice a real file's size.
    largest = std::max(largest, (info.end - info.begin) / DTypeBytes(info.dtype) * sizeof(float));
  }
  return largest;
}

uint64_t Weights::scratch_bytes() { return kChunkBytes; }

absl::StatusOr<std::string> Weights::Finish() {
  for (const auto& file : files_) RETURN_IF_ERROR(file->CheckUnchanged());
  Sha256 digest;
  for (const auto& [name, hash] : digest_->tensors) {
    const TensorInfo& info = tensors_.at(name);
    // The NUL keeps names and what follows apart.
    digest.Update(absl::StrCat(name, absl::string_view("\0", 1), DTypeName(info.dtype), ShapeString(info.shape),
                               hash.num_bytes, ";"));
    digest.Update(std::as_bytes(std::span(hash.lanes)));
  }
  constexpr size_t kVersionDigits = 12;
  return digest.FinishHex().substr(0, kVersionDigits);
}

}  // namespace octet::model
