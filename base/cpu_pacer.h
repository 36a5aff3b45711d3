// Lets computing threads rest when the process has used what its CPU quota gives (cpu_budget.h), so that the kernel
// does not stop all of its threads, those of the network and of health included, for the rest of a period. Thread-safe.
#ifndef OCTET_BASE_CPU_PACER_H_
#define OCTET_BASE_CPU_PACER_H_

#include "absl/time/time.h"
#include "base/cpu_budget.h"
#include "base/mutex.h"

namespace octet {

class CpuPacer {
 public:
  // As CpuBudget.
  CpuPacer(double quota_cpus, int num_threads) : budget_(quota_cpus, num_threads) {}

  // Sleeps for as long as is due, at most a few milliseconds, but never waits for another thread. To be called between
  // pieces of work of about a millisecond; costs about 1 us (two clocks).
  void Pace();

  // How long all threads together have rested.
  absl::Duration rested() const;

 private:
  mutable Mutex mu_;
  CpuBudget budget_ ABSL_GUARDED_BY(mu_);
  absl::Duration rested_ ABSL_GUARDED_BY(mu_);
};

}  // namespace octet

#endif  // OCTET_BASE_CPU_PACER_H_
