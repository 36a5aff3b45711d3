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

  // Total time that the group's threads were held back by the quota; read anew each time. Nothing when
  // there is no CPU controller.
  std::optional<absl::Duration> ThrottledTime() const;

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
