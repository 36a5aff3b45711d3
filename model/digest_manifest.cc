#include "model/digest_manifest.h"

#include <algorithm>
#include <map>
#include <memory>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/aligned_buffer.h"
#include "base/status_macros.h"
#include "model/quote.h"
#include "model/sha256.h"

namespace octet::model {
namespace {

constexpr const char* kManifestNames[] = {"octet.sha256", "SHA256SUMS"};
constexpr uint64_t kMaxManifestBytes = 1 << 20;
constexpr size_t kHexDigits = 64;
constexpr size_t kChunkBytes = 256 << 10;

// What octet reads of a model directory besides the weights. Other listed files (a README, other
// frameworks' weights) are not opened.
bool IsReadByOctet(absl::string_view name) {
  for (const absl::string_view known : {"config.json", "tokenizer.json", "modules.json", "sentence_bert_config.json",
                                        "config_sentence_transformers.json", "model.safetensors.index.json"}) {
    if (name == known) return true;
  }
  return absl::EndsWith(name, "_Pooling/config.json");
}

absl::StatusOr<std::map<std::string, std::string>> ParseManifest(absl::string_view file, absl::string_view text) {
  std::map<std::string, std::string> digests;
  size_t line_number = 0;
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    ++line_number;
    line = absl::StripTrailingAsciiWhitespace(line);
    if (line.empty() || line[0] == '#') continue;
    const auto error = [&](absl::string_view message) {
      return absl::InvalidArgumentError(absl::StrCat(file, ": line ", line_number, ": ", message));
    };
    const absl::string_view hex = line.substr(0, kHexDigits);
    absl::string_view name = line.substr(hex.size());
    const bool is_hex =
        std::all_of(hex.begin(), hex.end(), [](char c) { return absl::ascii_isxdigit(static_cast<unsigned char>(c)); });
    // The second character says text (blank) or binary (star); the digest is the same.
    if (hex.size() != kHexDigits || !is_hex || name.size() < 3 || name[0] != ' ' ||
        (name[1] != ' ' && name[1] != '*')) {
      return error("not \"<64 hex digits>  <file name>\"");
    }
    name.remove_prefix(2);
    absl::ConsumePrefix(&name, "./");
    if (!digests.emplace(std::string(name), absl::AsciiStrToLower(hex)).second) {
      return error(absl::StrCat(Quote(name), " is listed twice"));
    }
  }
  return digests;
}

absl::Status VerifyFile(const ModelDirectory& directory, const std::string& name, const std::string& expected) {
  ASSIGN_OR_RETURN(const std::unique_ptr<ModelFile> file, directory.OpenFile(name));
  AlignedBuffer<std::byte> chunk(kChunkBytes);
  Sha256 digest;
  for (uint64_t offset = 0; offset < file->size(); offset += kChunkBytes) {
    const std::span<std::byte> part = chunk.span().first(std::min<uint64_t>(kChunkBytes, file->size() - offset));
    RETURN_IF_ERROR(file->ReadAt(offset, part));
    digest.Update(part);
  }
  RETURN_IF_ERROR(file->CheckUnchanged());
  if (digest.FinishHex() != expected) {
    return absl::DataLossError(absl::StrCat(Quote(name), ": digest mismatch"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<bool> VerifyDigestManifest(const ModelDirectory& directory,
                                          const std::vector<std::string>& weight_files) {
  const auto manifest = std::find_if(std::begin(kManifestNames), std::end(kManifestNames),
                                     [&](const char* name) { return directory.Exists(name); });
  if (manifest == std::end(kManifestNames)) return false;
  ASSIGN_OR_RETURN(const std::string text, directory.ReadSmallFile(*manifest, kMaxManifestBytes));
  ASSIGN_OR_RETURN(const auto digests, ParseManifest(*manifest, text));
  for (const std::string& name : weight_files) {
    if (digests.count(name) == 0) {
      return absl::InvalidArgumentError(absl::StrCat(*manifest, ": ", Quote(name), " is not listed"));
    }
  }
  for (const auto& [name, expected] : digests) {
    const bool is_weights = std::find(weight_files.begin(), weight_files.end(), name) != weight_files.end();
    if (is_weights || IsReadByOctet(name)) {
      RETURN_IF_ERROR(VerifyFile(directory, name, expected));
    }
  }
  return true;
}

}  // namespace octet::model
