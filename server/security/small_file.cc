#include "server/security/small_file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace octet::security {
namespace {

// A chain of certificates is a few KiB, a bundle of all public authorities about 220 KiB.
constexpr size_t kMaxBytes = 1 << 20;
// A replacement takes microseconds; one that is under way at every attempt is no replacement.
constexpr int kMaxAttempts = 5;

absl::Status CannotRead(const NamedFile& file, int error) {
  return absl::ErrnoToStatus(error, absl::StrCat(file.setting, ": cannot read the file"));
}

absl::StatusOr<std::string> ReadOne(const NamedFile& file) {
  // Not blocking: opening a FIFO would wait for its writer.
  const int fd = open(file.path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return CannotRead(file, errno);
  const absl::Cleanup close_fd = [fd] { close(fd); };
  struct stat status;
  if (fstat(fd, &status) != 0) return CannotRead(file, errno);
  if (!S_ISREG(status.st_mode)) {
    return absl::FailedPreconditionError(absl::StrCat(file.setting, ": not a regular file"));
  }
  std::string content(kMaxBytes + 1, '\0');
  size_t size = 0;
  while (size < content.size()) {
    const ssize_t got = read(fd, content.data() + size, content.size() - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return CannotRead(file, errno);
    if (got == 0) break;
    size += static_cast<size_t>(got);
  }
  if (size > kMaxBytes) {
    return absl::FailedPreconditionError(absl::StrCat(file.setting, ": above ", kMaxBytes, " bytes"));
  }
  content.resize(size);
  content.shrink_to_fit();
  return content;
}

absl::StatusOr<std::vector<std::string>> ReadAll(std::span<const NamedFile> files) {
  std::vector<std::string> contents;
  for (const NamedFile& file : files) {
    ASSIGN_OR_RETURN(std::string content, ReadOne(file));
    contents.push_back(std::move(content));
  }
  return contents;
}

}  // namespace

absl::StatusOr<std::vector<std::string>> ReadTogether(std::span<const NamedFile> files) {
  auto before = ReadAll(files);
  for (int i = 0; i < kMaxAttempts; ++i) {
    auto after = ReadAll(files);
    if (before.ok() == after.ok() && (before.ok() ? *before == *after : before.status() == after.status())) {
      return after;
    }
    before = std::move(after);
  }
  return absl::UnavailableError(absl::StrCat(files[0].setting, ": the files change while they are read"));
}

}  // namespace octet::security
