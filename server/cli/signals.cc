#include "server/cli/signals.h"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <utility>

#include "server/cli/exit_code.h"
#include "server/cli/log.h"
#include "spdlog/spdlog.h"

namespace octet::cli {
namespace {

sigset_t WatchedSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGHUP);
  sigaddset(&signals, SIGUSR1);
  sigaddset(&signals, SIGUSR2);  // wakes the thread for the end
  return signals;
}

}  // namespace

SignalWatcher::SignalWatcher() {
  signal(SIGPIPE, SIG_IGN);
  const sigset_t signals = WatchedSignals();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  thread_ = std::thread([this] { Run(); });
}

SignalWatcher::~SignalWatcher() {
  {
    MutexLock lock(&mu_);
    end_ = true;
  }
  pthread_kill(thread_.native_handle(), SIGUSR2);
  thread_.join();
}

void SignalWatcher::Run() {
  const sigset_t signals = WatchedSignals();
  for (;;) {
    int number = 0;
    if (sigwait(&signals, &number) != 0) continue;
    if (number == SIGUSR1) {
      ToggleDebugLogging();
      continue;
    }
    if (number == SIGHUP) {
      MutexLock lock(&reload_mu_);
      if (reload_) reload_();
      continue;
    }
    MutexLock lock(&mu_);
    if (end_) return;
    if (number == SIGUSR2) continue;
    // _exit: other threads are in the middle of their work, destructors would pull it from under them.
    if (!ready_) _exit(kExitOk);
    if (signalled_) _exit(kExitFailure);
    signalled_ = stop_ = true;
    spdlog::info("signal {}: draining; a second one stops at once", number == SIGTERM ? "TERM" : "INT");
    stopped_.SignalAll();
  }
}

void SignalWatcher::SetReady() {
  MutexLock lock(&mu_);
  ready_ = true;
}

void SignalWatcher::OnReload(std::function<void()> reload) {
  MutexLock lock(&reload_mu_);
  reload_ = std::move(reload);
}

void SignalWatcher::RequestStop() {
  MutexLock lock(&mu_);
  stop_ = true;
  stopped_.SignalAll();
}

void SignalWatcher::WaitForStop() {
  MutexLock lock(&mu_);
  while (!stop_) stopped_.Wait(&mu_);
}

}  // namespace octet::cli
