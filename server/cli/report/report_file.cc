#include "server/cli/report/report_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "absl/strings/str_cat.h"

namespace octet::cli {
namespace {

namespace fs = std::filesystem;

absl::Status CannotWrite(const std::string& path) {
  return absl::UnavailableError(absl::StrCat("cannot write ", path, ": ", std::strerror(errno)));
}

bool WriteAndSync(int fd, absl::string_view content) {
  while (!content.empty()) {
    const ssize_t count = write(fd, content.data(), content.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return false;
    content.remove_prefix(static_cast<size_t>(count));
  }
  return fsync(fd) == 0;
}

}  // namespace

absl::Status CheckReportFile(const std::string& path, bool overwrite) {
  std::error_code error;
  if (fs::exists(path, error)) {
    if (!fs::is_regular_file(path, error)) return absl::FailedPreconditionError(absl::StrCat(path, " is not a file"));
    if (!overwrite) {
      return absl::FailedPreconditionError(absl::StrCat(path, " exists; give --overwrite or another name"));
    }
  }
  const fs::path parent = fs::path(path).parent_path();
  if (access(parent.empty() ? "." : parent.c_str(), W_OK | X_OK) != 0) return CannotWrite(path);
  return absl::OkStatus();
}

absl::Status WriteReportFile(const std::string& path, absl::string_view content) {
  // The process id keeps two runs with one output apart.
  const std::string fresh = absl::StrCat(path, ".", getpid(), ".new");
  const int fd = open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (fd < 0) return CannotWrite(path);
  const bool written = WriteAndSync(fd, content);
  const int write_errno = errno;
  if (close(fd) == 0 && written && std::rename(fresh.c_str(), path.c_str()) == 0) return absl::OkStatus();
  if (!written) errno = write_errno;
  const absl::Status status = CannotWrite(path);
  unlink(fresh.c_str());
  return status;
}

}  // namespace octet::cli
