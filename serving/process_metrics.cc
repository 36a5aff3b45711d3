#include "serving/process_metrics.h"

#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <utility>

#include "absl/time/time.h"
#include "serving/process_stats.h"

namespace octet::serving {
namespace {

// Counters that mirror a total kept elsewhere only ever go up.
void RaiseTo(prometheus::Counter* counter, double total) {
  counter->Increment(std::max(0.0, total - counter->Value()));
}

double CpuLimit(const ContainerLimits& limits) {
  const double affinity = limits.affinity_cpus();
  const double cpuset = limits.cpuset_cpus().value_or(limits.affinity_cpus());
  return std::min({affinity, cpuset, limits.cpu_quota().value_or(affinity)});
}

double MemoryLimit(const ContainerLimits& limits) {
  const double machine = static_cast<double>(sysconf(_SC_PHYS_PAGES)) * static_cast<double>(sysconf(_SC_PAGESIZE));
  const auto container = limits.memory_limit_bytes();
  return container ? std::min(machine, static_cast<double>(*container)) : machine;
}

}  // namespace

ProcessMetrics::ProcessMetrics(MetricRegistry* registry, ContainerLimits container_limits, int num_threads)
    : container_limits_(std::move(container_limits)),
      throttled_(registry->Counter({"octet_cpu_throttled_seconds_total", "seconds",
                                    "Time that the container's threads were held back by its CPU quota."})),
      periods_(registry->Counter(
          {"octet_cpu_periods_total", "periods", "Periods of the CPU quota in which the container wanted to run."})),
      throttled_periods_(registry->Counter({"octet_cpu_throttled_periods_total", "periods",
                                            "Of octet_cpu_periods_total, those that ended with the quota used up."})),
      cpu_(registry->Counter({"process_cpu_seconds_total", "seconds", "User and system CPU time."})),
      resident_(registry->Gauge({"process_resident_memory_bytes", "bytes", "Resident memory."})),
      virtual_(registry->Gauge({"process_virtual_memory_bytes", "bytes", "Virtual memory."})),
      open_fds_(registry->Gauge({"process_open_fds", "files", "Open file descriptors."})),
      max_fds_(registry->Gauge({"process_max_fds", "files", "Most file descriptors allowed."})),
      start_time_(
          registry->Gauge({"process_start_time_seconds", "seconds", "Start of the process since the Unix epoch."})) {
  SetLimits(registry, num_threads);
}

void ProcessMetrics::SetLimits(MetricRegistry* registry, int num_threads) const {
  registry->Gauge({"octet_threads", "threads", "Threads that compute."})->Set(num_threads);
  registry->Gauge({"octet_cpu_limit_cores", "CPUs", "CPUs that the container's quota, its CPU set and affinity allow."})
      ->Set(CpuLimit(container_limits_));
  registry
      ->Gauge({"octet_memory_limit_bytes", "bytes",
               "Memory that the container may use; without a limit, all of the machine's."})
      ->Set(MemoryLimit(container_limits_));
}

void ProcessMetrics::Refresh() const {
  const ProcessStats process = ReadProcessStats();
  RaiseTo(cpu_, process.cpu_seconds);
  resident_->Set(process.resident_bytes);
  virtual_->Set(process.virtual_bytes);
  open_fds_->Set(process.open_fds);
  max_fds_->Set(process.max_fds);
  start_time_->Set(process.start_time_seconds);
  if (const auto throttling = container_limits_.Throttling()) {
    RaiseTo(throttled_, absl::ToDoubleSeconds(throttling->time));
    RaiseTo(periods_, static_cast<double>(throttling->periods));
    RaiseTo(throttled_periods_, static_cast<double>(throttling->throttled_periods));
  }
}

}  // namespace octet::serving
