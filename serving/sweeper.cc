#include "serving/sweeper.h"

namespace octet::serving {
namespace {

// Half of the 10 ms within which a cancelled call gives its place back.
constexpr absl::Duration kPeriod = absl::Milliseconds(5);
}  // namespace

void Sweeper::Start(Heartbeats* heartbeats) {
  thread_ = std::thread([this, beat = heartbeats->Add("sweeper")] { Run(beat); });
}

void Sweeper::Arm() {
  {
    MutexLock lock(&mu_);
    if (armed_) return;
    armed_ = true;
  }
  wake_.Signal();
}

void Sweeper::Run(Heartbeat* beat) {
  while (true) {
    {
      MutexLock lock(&mu_);
      while (!armed_ && !stopped_) wake_.WaitWithTimeout(&mu_, kIdleTick);
      if (!stopped_) wake_.WaitWithTimeout(&mu_, kPeriod);
      if (stopped_) return;
      armed_ = false;  // before the sweep: what comes after it arms again
    }
    BusyScope busy(beat);
    if (sweep_()) {
      MutexLock lock(&mu_);
      armed_ = true;
    }
  }
}

void Sweeper::Stop() {
  {
    MutexLock lock(&mu_);
    stopped_ = true;
  }
  wake_.Signal();
  if (thread_.joinable()) thread_.join();
}

}  // namespace octet::serving
