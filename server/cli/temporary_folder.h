// A folder that goes when its owner does, also when the process is ended by SIGINT, SIGTERM or SIGHUP: a thread waits for
// them, removes the folder, and lets the signal end the process as it would have.
#ifndef OCTET_SERVER_CLI_TEMPORARY_FOLDER_H_
#define OCTET_SERVER_CLI_TEMPORARY_FOLDER_H_

#include <signal.h>

#include <memory>
#include <string>
#include <thread>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace octet::cli {

// At most one at a time, made before any other thread, since threads inherit which signals are blocked.
class TemporaryFolder {
 public:
  // In TMPDIR, named "<prefix>-XXXXXX". FailedPrecondition if it cannot be made.
  static absl::StatusOr<std::unique_ptr<TemporaryFolder>> Make(absl::string_view prefix);
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  const std::string& path() const { return path_; }

 private:
  explicit TemporaryFolder(std::string path);
  void WaitForSignal();
  void Remove() const;

  const std::string path_;
  sigset_t earlier_;  // the thread's blocked signals before
  std::thread watcher_;
};

}  // namespace octet::cli

#endif  // OCTET_SERVER_CLI_TEMPORARY_FOLDER_H_
