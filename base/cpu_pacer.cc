#include "base/cpu_pacer.h"

#include <ctime>

#include "absl/time/clock.h"

namespace octet {
namespace {

absl::Duration Read(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return absl::DurationFromTimespec(now);
}

}  // namespace

void CpuPacer::Pace() {
  if (!mu_.TryLock()) return;  // another thread is looking; this one does so after its next piece
  const absl::Duration rest = budget_.Rest(Read(CLOCK_MONOTONIC), Read(CLOCK_PROCESS_CPUTIME_ID));
  rested_ += rest;
  mu_.Unlock();
  if (rest > absl::ZeroDuration()) absl::SleepFor(rest);
}

absl::Duration CpuPacer::rested() const {
  MutexLock lock(&mu_);
  return rested_;
}

}  // namespace octet
