#include "model/quantize/staged_directory.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "model/durable_file.h"
#include "model/strict_json.h"

namespace octet::model {
namespace {

namespace fs = std::filesystem;

// Says that the folder is ours, and is locked while a run writes there.
constexpr char kMarkerFile[] = ".octet-quantize";

absl::Status FileError(const std::string& what, const std::error_code& error) {
  return absl::InternalError(absl::StrCat(what, ": ", error.message()));
}

std::string WithoutSlash(const std::string& path) {
  std::string plain = fs::path(path).lexically_normal().string();
  while (plain.size() > 1 && plain.back() == '/') plain.pop_back();
  return plain;
}

bool IsNonEmptyFolder(const std::string& path) {
  std::error_code error;
  return fs::is_directory(path, error) && !fs::is_empty(path, error);
}

bool IsThere(const std::string& path) {
  std::error_code error;
  return fs::exists(fs::symlink_status(path, error)) && !(fs::is_directory(path, error) && fs::is_empty(path, error));
}

// Whether `outer` is `inner` or a folder above it.
bool Holds(const std::string& outer, const std::string& inner) {
  std::error_code error;
  const fs::path above = fs::weakly_canonical(outer, error), below = fs::weakly_canonical(inner, error);
  auto a = above.begin(), b = below.begin();
  for (; a != above.end() && b != below.end() && *a == *b; ++a, ++b) {
  }
  return a == above.end();
}

}  // namespace

StagedDirectory::StagedDirectory(std::string path, bool overwrite)
    : path_(std::move(path)), staging_path_(absl::StrCat(path_, ".partial")), overwrite_(overwrite) {}

StagedDirectory::~StagedDirectory() {
  if (lock_fd_ < 0) return;
  // A run that came to nothing leaves nothing.
  std::error_code ignored;
  const fs::directory_iterator entries(staging_path_, ignored);
  const bool is_bare = !ignored && std::all_of(begin(entries), end(entries), [](const fs::directory_entry& entry) {
    return entry.path().filename() == kMarkerFile;
  });
  if (is_bare) fs::remove_all(staging_path_, ignored);
  close(lock_fd_);
}

absl::StatusOr<std::unique_ptr<StagedDirectory>> StagedDirectory::Open(const std::string& path,
                                                                       const std::string& source, bool overwrite) {
  std::unique_ptr<StagedDirectory> staged(new StagedDirectory(WithoutSlash(path), overwrite));
  if (Holds(staged->path_, source)) {
    return absl::InvalidArgumentError(absl::StrCat(path, " is or holds the model that it is made from"));
  }
  RETURN_IF_ERROR(staged->CheckTarget());
  if (IsNonEmptyFolder(staged->staging_path_) && !fs::exists(staged->File(kMarkerFile))) {
    return absl::AlreadyExistsError(absl::StrCat(
        staged->staging_path_, " exists and is not of an interrupted run; remove it or take another name"));
  }
  std::error_code error;
  fs::create_directories(staged->staging_path_, error);
  if (error) return FileError(absl::StrCat("cannot make ", staged->staging_path_), error);
  RETURN_IF_ERROR(staged->Lock());
  return staged;
}

absl::Status StagedDirectory::CheckTarget() const {
  if (!IsThere(path_)) return absl::OkStatus();
  if (!overwrite_) return absl::AlreadyExistsError(absl::StrCat(path_, " exists; give --overwrite to replace it"));
  std::error_code error;
  if (fs::exists(absl::StrCat(path_, "/", kConfigFile), error)) return absl::OkStatus();
  return absl::AlreadyExistsError(absl::StrCat(path_, " exists and is not a model directory; remove it yourself"));
}

absl::Status StagedDirectory::Lock() {
  lock_fd_ = open(File(kMarkerFile).c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (lock_fd_ < 0) return FileError(absl::StrCat("cannot write ", staging_path_), {errno, std::generic_category()});
  if (flock(lock_fd_, LOCK_EX | LOCK_NB) == 0) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat("another process is writing ", staging_path_));
}

std::string StagedDirectory::File(absl::string_view name) const { return absl::StrCat(staging_path_, "/", name); }

absl::Status StagedDirectory::WriteText(absl::string_view name, absl::string_view text) const {
  const std::string path = File(name);
  std::error_code error;
  fs::create_directories(fs::path(path).parent_path(), error);
  fs::remove(path, error);
  DurableFile file(path);
  RETURN_IF_ERROR(file.Append(text));
  RETURN_IF_ERROR(file.Sync());
  return SyncFolder(fs::path(path).parent_path().string());
}

void StagedDirectory::Remove(absl::string_view name) const {
  std::error_code ignored;
  fs::remove(File(name), ignored);
}

absl::Status StagedDirectory::Rename(absl::string_view name, absl::string_view new_name) const {
  std::error_code error;
  fs::rename(File(name), File(new_name), error);
  return error ? FileError(absl::StrCat("cannot rename ", File(name)), error) : absl::OkStatus();
}

absl::Status StagedDirectory::Empty() const {
  std::error_code error;
  fs::directory_iterator entries(staging_path_, error);
  for (; !error && entries != fs::directory_iterator(); entries.increment(error)) {
    if (entries->path().filename() == kMarkerFile) continue;
    fs::remove_all(entries->path(), error);
    if (error) break;
  }
  return error ? FileError(absl::StrCat("cannot empty ", staging_path_), error) : absl::OkStatus();
}

absl::Status StagedDirectory::Publish() {
  RETURN_IF_ERROR(CheckTarget());
  Remove(kMarkerFile);
  RETURN_IF_ERROR(SyncFolder(staging_path_));
  const std::string old = absl::StrCat(path_, ".old");
  std::error_code error;
  if (IsThere(path_)) {
    fs::rename(path_, old, error);
    if (error) return FileError(absl::StrCat("cannot move ", path_, " aside"), error);
  }
  fs::rename(staging_path_, path_, error);
  if (error) return FileError(absl::StrCat("cannot make ", path_), error);
  const std::string parent = fs::path(path_).parent_path().string();
  RETURN_IF_ERROR(SyncFolder(parent.empty() ? "." : parent));
  fs::remove_all(old, error);
  return error ? FileError(absl::StrCat("cannot remove ", old), error) : absl::OkStatus();
}

}  // namespace octet::model
