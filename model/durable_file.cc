#include "model/durable_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"

namespace octet::model {
namespace {

absl::Status WriteError(const std::string& path) {
  const int error = errno;
  const std::string message = absl::StrCat("cannot write ", path, ": ", std::strerror(error));
  return error == ENOSPC || error == EDQUOT ? absl::ResourceExhaustedError(message) : absl::InternalError(message);
}

}  // namespace

DurableFile::DurableFile(const std::string& path)
    : path_(path), fd_(open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644)) {}

DurableFile::~DurableFile() {
  if (fd_ >= 0) close(fd_);
}

absl::Status DurableFile::Append(std::span<const std::byte> bytes) {
  if (fd_ < 0) return WriteError(path_);
  while (!bytes.empty()) {
    const ssize_t written = write(fd_, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return WriteError(path_);
    bytes = bytes.subspan(static_cast<size_t>(written));
  }
  return absl::OkStatus();
}

absl::Status DurableFile::Sync() { return fd_ >= 0 && fsync(fd_) == 0 ? absl::OkStatus() : WriteError(path_); }

absl::Status SyncFolder(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return WriteError(path);
  const bool is_synced = fsync(fd) == 0;
  const absl::Status status = is_synced ? absl::OkStatus() : WriteError(path);
  close(fd);
  return status;
}

}  // namespace octet::model
