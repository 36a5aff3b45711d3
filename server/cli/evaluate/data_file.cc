#include "server/cli/evaluate/data_file.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <optional>
#include <system_error>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "model/sha256.h"
#include "server/cli/report/path_name.h"
#include "text/utf8.h"

namespace octet::cli {
namespace {

constexpr absl::string_view kByteOrderMark = "\xEF\xBB\xBF";

}  // namespace

absl::Status LineError(absl::string_view path, uint64_t line, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat(path, ":", line, ": ", what));
}

absl::StatusOr<DataFile> ReadDataFile(const std::string& path) {
  std::error_code error;
  if (!std::filesystem::exists(path, error)) return absl::NotFoundError(absl::StrCat("cannot read ", path));
  if (!std::filesystem::is_regular_file(path, error)) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": not a regular file"));
  }
  DataFile file;
  file.path = path;
  file.digest.name = PathName(path);
  file.digest.num_bytes = std::filesystem::file_size(path, error);
  if (file.digest.num_bytes > kMaxDataFileBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": ", file.digest.num_bytes, " bytes, limit ", kMaxDataFileBytes, "; take a part of it"));
  }
  file.content.resize(file.digest.num_bytes);
  std::ifstream stream(path, std::ios::binary);
  if (!stream.read(file.content.data(), static_cast<std::streamsize>(file.content.size()))) {
    return absl::NotFoundError(absl::StrCat("cannot read ", path));
  }
  model::Sha256 sha256;
  sha256.Update(file.content);
  file.digest.sha256 = sha256.FinishHex();
  if (absl::StartsWith(file.content, kByteOrderMark)) file.content.erase(0, kByteOrderMark.size());
  if (file.content.empty()) return absl::InvalidArgumentError(absl::StrCat(path, ": empty"));
  if (const std::optional<size_t> position = text::FindInvalidUtf8(file.content); position.has_value()) {
    const auto end = file.content.begin() + static_cast<std::ptrdiff_t>(*position);
    return LineError(path, static_cast<uint64_t>(1 + std::count(file.content.begin(), end, '\n')), "not valid UTF-8");
  }
  return file;
}

}  // namespace octet::cli
