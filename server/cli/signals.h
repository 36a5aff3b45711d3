// SIGTERM, SIGINT, SIGHUP and SIGUSR1, taken by one thread with sigwait; no code runs in a signal handler. Before
// SetReady a stop signal ends the process at once with exit code 0 (there is nothing to lose); after it the
// first one asks for a drain and the second ends the process at once with kExitFailure. SIGUSR1 toggles
// debug logging, SIGHUP reads again what may be read again while serving. SIGPIPE is ignored.
#ifndef OCTET_SERVER_CLI_SIGNALS_H_
#define OCTET_SERVER_CLI_SIGNALS_H_

#include <functional>
#include <thread>

#include "base/mutex.h"

namespace octet::cli {

// One per process, made before any other thread, since threads inherit the blocked signals.
class SignalWatcher {
 public:
  SignalWatcher();
  ~SignalWatcher();

  void SetReady();
  // What SIGHUP does from here on, on the signal thread; before, it does nothing. When this returns, an earlier `reload`
  // is not running any more.
  void OnReload(std::function<void()> reload);
  // Asks for a drain, as a first stop signal does; a later call changes nothing.
  void RequestStop();
  // Returns once a stop signal has come after SetReady.
  void WaitForStop();

 private:
  void Run();

  Mutex mu_;
  CondVar stopped_;
  bool ready_ ABSL_GUARDED_BY(mu_) = false;
  bool stop_ ABSL_GUARDED_BY(mu_) = false;
  bool signalled_ ABSL_GUARDED_BY(mu_) = false;  // by a stop signal; not by RequestStop, which a signal may follow
  bool end_ ABSL_GUARDED_BY(mu_) = false;
  Mutex reload_mu_;
  std::function<void()> reload_ ABSL_GUARDED_BY(reload_mu_);
  std::thread thread_;
};

}  // namespace octet::cli

#endif  // OCTET_SERVER_CLI_SIGNALS_H_
