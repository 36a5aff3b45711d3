// The file of a UNIX socket that is to be listened on: left over by a dead process, in use by a living one, or something
// else altogether. gRPC removes whatever socket it finds, also one in use; so it is looked at first.
#ifndef OCTET_SERVER_RPC_SOCKET_FILE_H_
#define OCTET_SERVER_RPC_SOCKET_FILE_H_

#include <sys/stat.h>

#include <string>

#include "absl/status/status.h"

namespace octet::rpc {

// OK when nothing is there or a socket that nobody listens on (gRPC removes it). FailedPrecondition "cannot bind
// unix:PATH: ..." otherwise.
absl::Status CheckSocketFile(const std::string& path);

// While it lives, files (and sockets that are bound) are made for owner and group only: a socket gets mode 0660. Of the
// whole process: for the start, before other threads make files.
class GroupOnlyUmask {
 public:
  GroupOnlyUmask() : before_(umask(0117)) {}
  ~GroupOnlyUmask() { umask(before_); }
  GroupOnlyUmask(const GroupOnlyUmask&) = delete;
  GroupOnlyUmask& operator=(const GroupOnlyUmask&) = delete;

 private:
  const mode_t before_;
};

}  // namespace octet::rpc

#endif  // OCTET_SERVER_RPC_SOCKET_FILE_H_
