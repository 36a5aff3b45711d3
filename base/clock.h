// Monotonic time behind an interface, so that policies and deadlines are tested with a fake clock.
// A MonotonicTime is a duration since an arbitrary start; it never jumps when the wall clock does.
#ifndef OCTET_BASE_CLOCK_H_
#define OCTET_BASE_CLOCK_H_

#include <ctime>

#include "absl/time/time.h"

namespace octet {

using MonotonicTime = absl::Duration;

// Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual MonotonicTime Now() const = 0;
};

class SteadyClock final : public Clock {
 public:
  MonotonicTime Now() const override {
    timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return absl::DurationFromTimespec(now);
  }

  // The process-wide instance; it has no state.
  static const SteadyClock& Get() {
    static const SteadyClock clock;
    return clock;
  }
};

}  // namespace octet

#endif  // OCTET_BASE_CLOCK_H_
