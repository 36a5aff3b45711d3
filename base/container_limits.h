// What the container gives this process: CPU quota and set (cgroup v1 and v2), thread affinity, memory
// limit, and how long it was throttled. Thread counts and memory budgets come from here, not from the
// host's size. Limits of every ancestor group that can be seen count; unreadable files mean "no limit".
// Immutable after Detect; thread-safe.
#ifndef OCTET_BASE_CONTAINER_LIMITS_H_
#define OCTET_BASE_CONTAINER_LIMITS_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace octet {

// What the CPU quota has cost a group since it was made.
struct CpuThrottling {
  absl::Duration time;            // that threads were held back, summed over them
  int64_t periods = 0;            // of the quota in which the group wanted to run
  int64_t throttled_periods = 0;  // of these, those that ended with the quota used up
};

class ContainerLimits {
 public:
  // `root` stands for "/" (tests give a folder with proc/self/cgroup, proc/self/mountinfo and groups).
  // `affinity_cpus`: 0 = ask sched_getaffinity.
  static ContainerLimits Detect(const std::string& root = "", int affinity_cpus = 0);

  // CPUs in the affinity mask, at least 1.
  int affinity_cpus() const { return affinity_cpus_; }
  // CPUs in the group's cpuset, if it has one.
  std::optional<int> cpuset_cpus() const { return cpuset_cpus_; }
  // Quota divided by period, in CPUs; 0.5 = half of one CPU's time.
  std::optional<double> cpu_quota() const { return cpu_quota_; }
  // The smallest memory limit of the group and its ancestors, in bytes.
  std::optional<uint64_t> memory_limit_bytes() const { return memory_limit_bytes_; }

  // CPUs that threads of this process can be on at the same time: min(affinity, cpuset).
  int NumCpus() const;

  // Threads that can run at once: ceil(min(affinity, cpuset, quota)), at least 1.
  int NumThreads() const;

  // Of the group that has the smallest quota, the process's own or an ancestor; read anew each time. Nothing when there is no CPU controller. Source: cpu.stat of
  // cgroup v1 (nr_periods, nr_throttled, throttled_time in ns) or v2 (the same, throttled_usec).
  std::optional<CpuThrottling> Throttling() const;

 private:
  int affinity_cpus_ = 1;
  std::optional<int> cpuset_cpus_;
  std::optional<double> cpu_quota_;
  std::optional<uint64_t> memory_limit_bytes_;
  std::string cpu_stat_path_;  // "" = none
};

// Number of CPUs in a kernel list such as "0-3,7"; nothing when it is malformed or empty.
std::optional<int> CountCpuList(absl::string_view list);

}  // namespace octet

#endif  // OCTET_BASE_CONTAINER_LIMITS_H_
