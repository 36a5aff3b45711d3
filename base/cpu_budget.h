// How much CPU time a process under a quota (Linux's CFS bandwidth) may use now: a token bucket that fills a little
// slower than the kernel's. Who stays within it is not frozen by the kernel for the rest of a period, with all its
// threads and in the middle of anything. Pure arithmetic over times that the caller reads; not thread-safe.
#ifndef OCTET_BASE_CPU_BUDGET_H_
#define OCTET_BASE_CPU_BUDGET_H_

#include "absl/time/time.h"

namespace octet {

class CpuBudget {
 public:
  // `quota_cpus`: quota divided by period, > 0. `num_threads`: how many threads mean to compute at once, >= 1.
  CpuBudget(double quota_cpus, int num_threads);

  // `now`: any clock that does not go back. `cpu_time`: what the process has used so far. Returns how long computing
  // should rest for, 0 or 2 to 5 ms; the first call only sets the start.
  absl::Duration Rest(absl::Duration now, absl::Duration cpu_time);

 private:
  const double cpus_;           // the rate of refilling, CPU seconds a second
  const absl::Duration burst_;  // the most that can be saved up
  bool started_ = false;
  absl::Duration last_now_, last_cpu_time_;
  absl::Duration credit_;
};

}  // namespace octet

#endif  // OCTET_BASE_CPU_BUDGET_H_
