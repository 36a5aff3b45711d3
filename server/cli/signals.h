// SIGTERM, SIGINT and SIGUSR1, taken by one thread with sigwait; no code runs in a signal handler. Before
// SetReady a stop signal ends the process at once with exit code 0 (there is nothing to lose); after it the
// first one asks for a drain and the second ends the process at once with kExitFailure. SIGUSR1 toggles
// debug logging. SIGPIPE is ignored.
#ifndef OCTET_SERVER_CLI_SIGNALS_H_
#define OCTET_SERVER_CLI_SIGNALS_H_

#include <thread>

#include "base/mutex.h"

namespace octet::cli {

// One per process, made before any other thread, since threads inherit the blocked signals.
class SignalWatcher {
 public:
  SignalWatcher();
  ~SignalWatcher();

  void SetReady();
  // Returns once a stop signal has come after SetReady.
  void WaitForStop();

 private:
  void Run();

  Mutex mu_;
  CondVar stopped_;
  bool ready_ ABSL_GUARDED_BY(mu_) = false;
  bool stop_ ABSL_GUARDED_BY(mu_) = false;
  bool end_ ABSL_GUARDED_BY(mu_) = false;
  std::thread thread_;
};

}  // namespace octet::cli

#endif  // OCTET_SERVER_CLI_SIGNALS_H_
