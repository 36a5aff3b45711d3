#include "server/cli/temporary_folder.h"

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <initializer_list>
#include <system_error>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace octet::cli {
namespace {

constexpr int kStop = SIGUSR2;  // wakes the thread for the end
// Other threads may be writing into the folder while a signal removes it.
constexpr int kRemoveAttempts = 10;

sigset_t SetOf(std::initializer_list<int> numbers) {
  sigset_t set;
  sigemptyset(&set);
  for (const int number : numbers) sigaddset(&set, number);
  return set;
}

}  // namespace

absl::StatusOr<std::unique_ptr<TemporaryFolder>> TemporaryFolder::Make(absl::string_view prefix) {
  std::error_code error;
  std::string pattern = (std::filesystem::temp_directory_path(error) / absl::StrCat(prefix, "-XXXXXX")).string();
  if (error || mkdtemp(pattern.data()) == nullptr) {
    return absl::FailedPreconditionError("cannot make a temporary folder; set TMPDIR to one that is writable");
  }
  return std::unique_ptr<TemporaryFolder>(new TemporaryFolder(std::move(pattern)));
}

TemporaryFolder::TemporaryFolder(std::string path) : path_(std::move(path)) {
  const sigset_t watched = SetOf({SIGINT, SIGTERM, SIGHUP, kStop});
  pthread_sigmask(SIG_BLOCK, &watched, &earlier_);
  watcher_ = std::thread([this] { WaitForSignal(); });
}

TemporaryFolder::~TemporaryFolder() {
  pthread_kill(watcher_.native_handle(), kStop);
  watcher_.join();
  pthread_sigmask(SIG_SETMASK, &earlier_, nullptr);
  Remove();
}

void TemporaryFolder::WaitForSignal() {
  const sigset_t watched = SetOf({SIGINT, SIGTERM, SIGHUP, kStop});
  int number = 0;
  while (sigwait(&watched, &number) != 0) {
  }
  if (number == kStop) return;
  Remove();
  // The parent is to see which signal it was.
  signal(number, SIG_DFL);
  const sigset_t one = SetOf({number});
  pthread_sigmask(SIG_UNBLOCK, &one, nullptr);
  raise(number);
}

void TemporaryFolder::Remove() const {
  std::error_code error;
  for (int attempt = 0; attempt < kRemoveAttempts; ++attempt) {
    std::filesystem::remove_all(path_, error);
    if (!error) return;
  }
}

}  // namespace octet::cli
