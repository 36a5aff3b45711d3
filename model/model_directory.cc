#include "model/model_directory.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "model/quote.h"

namespace octet::model {

struct ModelFile::Root {
  explicit Root(int open_fd) : fd(open_fd) {}
  ~Root() {
    if (fd >= 0) close(fd);
  }
  Root(const Root&) = delete;
  Root& operator=(const Root&) = delete;

  // A descriptor of `name`, or -1 with errno.
  int OpenBeneath(const std::string& name, uint64_t flags) const {
    open_how how = {};
    how.flags = flags | O_CLOEXEC;
    how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
    int opened;
    do {
      opened = static_cast<int>(syscall(SYS_openat2, fd, absl::StrCat(prefix, name).c_str(), &how, sizeof(how)));
      // EAGAIN: a rename raced with the resolution of ".." (openat2(2)); trying again is the remedy.
    } while (opened < 0 && (errno == EINTR || errno == EAGAIN));
    return opened;
  }

  const int fd;
  std::string prefix;  // from the root to the model's folder: "", or "snapshots/<revision>/"
};

namespace {

int64_t MtimeNs(const struct stat& st) { return int64_t{st.st_mtim.tv_sec} * 1'000'000'000 + st.st_mtim.tv_nsec; }

// What openat2's errno means here; `name` is a file name of the format.
absl::Status OpenError(const std::string& name, int error) {
  switch (error) {
    case ENOENT:
    case ENOTDIR:
      return absl::NotFoundError(absl::StrCat(name, ": not found in the model directory"));
    case EXDEV:
      return absl::InvalidArgumentError(absl::StrCat(name, ": link leads outside the model directory"));
    case ELOOP:
      return absl::InvalidArgumentError(absl::StrCat(name, ": link loop"));
    case EACCES:
    case EPERM:
      return absl::InvalidArgumentError(absl::StrCat(name, ": permission denied"));
    case ENXIO:
    case ENODEV:
      return absl::InvalidArgumentError(absl::StrCat(name, ": not a regular file"));
    case ENAMETOOLONG:
      return absl::InvalidArgumentError(absl::StrCat(name, ": name too long"));
    case ENOSYS:
      return absl::FailedPreconditionError(
          "this kernel cannot open files beneath a folder: Linux 5.6 or newer is needed (openat2)");
    default:
      return absl::InvalidArgumentError(absl::StrCat(name, ": cannot open: ", strerror(error)));
  }
}

// One folder deep at most, no empty, "." or ".." parts. openat2 guards the root anyway; this keeps
// names from files (a shard index, modules.json) readable and boring.
absl::Status CheckName(absl::string_view name) {
  const size_t slash = name.find('/');
  const absl::string_view first = name.substr(0, slash);
  const absl::string_view second = slash == absl::string_view::npos ? "x" : name.substr(slash + 1);
  for (absl::string_view part : {first, second}) {
    if (part.empty() || part == "." || part == ".." || part.find('/') != part.npos || part.find('\0') != part.npos ||
        part.size() > NAME_MAX) {
      return absl::InvalidArgumentError(
          absl::StrCat("file name ", Quote(name), ": not a plain name in the model directory"));
    }
  }
  return absl::OkStatus();
}

int OpenDirectory(const std::string& path) { return open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC); }

bool IsDirectory(const std::string& path) {
  struct stat st;
  return stat(path.c_str(), &st) == 0 && S_ISDIR(st.st_mode);
}

}  // namespace

ModelFile::~ModelFile() {
  if (fd_ >= 0) close(fd_);
}

absl::Status ModelFile::ReadAt(uint64_t offset, std::span<std::byte> out) const {
  size_t done = 0;
  while (done < out.size()) {
    const ssize_t n = pread(fd_, out.data() + done, out.size() - done, static_cast<off_t>(offset + done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      return absl::DataLossError(absl::StrCat(name_, ": read failed: ", strerror(errno)));
    }
    if (n == 0) return absl::DataLossError(absl::StrCat(name_, ": file changed while loading"));
    done += static_cast<size_t>(n);
  }
  return absl::OkStatus();
}

absl::Status ModelFile::CheckUnchanged() const {
  struct stat now, named;
  const int by_name = root_->OpenBeneath(name_, O_PATH);
  const bool seen = by_name >= 0 && fstat(by_name, &named) == 0;
  if (by_name >= 0) close(by_name);
  if (!seen || fstat(fd_, &now) != 0 || static_cast<uint64_t>(now.st_size) != size_ || MtimeNs(now) != mtime_ns_ ||
      named.st_ino != inode_ || named.st_dev != device_) {
    return absl::DataLossError(absl::StrCat(name_, ": file changed while loading"));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<ModelDirectory>> ModelDirectory::Open(const std::string& path) {
  std::unique_ptr<char, decltype(&free)> real(realpath(path.c_str(), nullptr), &free);
  if (real == nullptr) {
    const int error = errno;
    const std::string message = absl::StrCat("model directory: ", strerror(error));
    return error == ENOENT ? absl::NotFoundError(message) : absl::InvalidArgumentError(message);
  }
  std::string root_path = real.get();
  std::string prefix;
  // The Hugging Face cache keeps files under blobs/ and links them from snapshots/<revision>/.
  const size_t revision = root_path.rfind('/');
  const absl::string_view parent = absl::string_view(root_path).substr(0, revision);
  if (absl::EndsWith(parent, "/snapshots")) {
    const std::string repo(parent.substr(0, parent.size() - strlen("/snapshots")));
    if (IsDirectory(repo + "/blobs")) {
      prefix = absl::StrCat("snapshots/", root_path.substr(revision + 1), "/");
      root_path = repo;
    }
  }
  const int fd = OpenDirectory(root_path);
  if (fd < 0) {
    return absl::InvalidArgumentError(absl::StrCat("model directory: ", strerror(errno)));
  }
  auto root = std::make_shared<ModelFile::Root>(fd);
  root->prefix = std::move(prefix);
  auto directory = std::unique_ptr<ModelDirectory>(new ModelDirectory());
  directory->root_ = std::move(root);
  return directory;
}

ModelDirectory::~ModelDirectory() = default;

absl::StatusOr<std::unique_ptr<ModelFile>> ModelDirectory::OpenFile(absl::string_view name) const {
  RETURN_IF_ERROR(CheckName(name));
  auto file = std::unique_ptr<ModelFile>(new ModelFile());
  file->name_ = std::string(name);
  file->root_ = root_;
  // O_NONBLOCK: a FIFO must not hold the start; it is refused below like every other special file.
  file->fd_ = root_->OpenBeneath(file->name_, O_RDONLY | O_NONBLOCK | O_NOCTTY);
  if (file->fd_ < 0) return OpenError(file->name_, errno);
  struct stat st;
  if (fstat(file->fd_, &st) != 0) return OpenError(file->name_, errno);
  if (S_ISDIR(st.st_mode)) {
    return absl::InvalidArgumentError(absl::StrCat(name, ": is a directory, not a file"));
  }
  if (!S_ISREG(st.st_mode)) {
    return absl::InvalidArgumentError(absl::StrCat(name, ": not a regular file"));
  }
  file->size_ = static_cast<uint64_t>(st.st_size);
  file->inode_ = st.st_ino;
  file->device_ = st.st_dev;
  file->mtime_ns_ = MtimeNs(st);
  return file;
}

bool ModelDirectory::Exists(absl::string_view name) const {
  if (!CheckName(name).ok()) return false;
  const int fd = root_->OpenBeneath(std::string(name), O_PATH | O_NOFOLLOW);
  if (fd < 0) return false;
  close(fd);
  return true;
}

absl::StatusOr<std::string> ModelDirectory::ReadSmallFile(absl::string_view name, uint64_t max_bytes) const {
  ASSIGN_OR_RETURN(const std::unique_ptr<ModelFile> file, OpenFile(name));
  if (file->size() > max_bytes) {
    return absl::InvalidArgumentError(absl::StrCat(name, ": ", file->size(), " bytes, limit ", max_bytes));
  }
  std::string text(file->size(), '\0');
  RETURN_IF_ERROR(file->ReadAt(0, std::as_writable_bytes(std::span(text.data(), text.size()))));
  RETURN_IF_ERROR(file->CheckUnchanged());
  return text;
}

}  // namespace octet::model
