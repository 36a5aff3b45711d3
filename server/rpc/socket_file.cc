#include "server/rpc/socket_file.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"

namespace octet::rpc {
namespace {

absl::Status CannotBind(const std::string& path, absl::string_view why) {
  return absl::FailedPreconditionError(absl::StrCat("cannot bind unix:", path, ": ", why));
}

}  // namespace

absl::Status CheckSocketFile(const std::string& path) {
  struct stat status;
  if (lstat(path.c_str(), &status) != 0) {
    return errno == ENOENT ? absl::OkStatus() : CannotBind(path, std::strerror(errno));
  }
  if (!S_ISSOCK(status.st_mode)) return CannotBind(path, "there is a file that is no socket; take another path");
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return CannotBind(path, std::strerror(errno));
  const absl::Cleanup close_fd = [fd] { close(fd); };
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), std::min(path.size(), sizeof(address.sun_path) - 1));
  const bool is_connected = connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0;
  // EAGAIN: somebody listens, but has no place for one more connection.
  if (is_connected || errno == EAGAIN) return CannotBind(path, "another process listens there");
  return errno == ECONNREFUSED ? absl::OkStatus() : CannotBind(path, std::strerror(errno));
}

}  // namespace octet::rpc
