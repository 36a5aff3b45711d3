#include "base/cpu_budget.h"

#include <algorithm>

#include "base/check.h"

namespace octet {
namespace {

// Of the quota. The rest is for what is not seen between two looks: a block of rows already begun, and the slices (5 ms
// each) that the kernel has given to other CPUs and not yet taken back, which a period's end meets now and then. With
// 0.98 those throttle 2 to 3 % of periods, for a millisecond each; with 0.975, 1 to 2 %; with
// 0.965, 1 %.
constexpr double kUsedShare = 0.965;
// The kernel's default period, and Kubernetes'.
constexpr absl::Duration kPeriod = absl::Milliseconds(100);
// With as many threads as the quota has CPUs, only the others' work comes on top, a few percent: no use in saving. With
// more, as for a quota of half a CPU, half a period's quota lets a lone call run at full speed, as the kernel would.
constexpr double kBurstOfWholeCpus = 0.005;
constexpr double kBurstOfFractions = 0.5;
// Shorter ones cost more than they give: a thread that sleeps for a fraction of a millisecond finds its caches cold and
// its CPU asleep as often as not.
constexpr absl::Duration kMinRest = absl::Milliseconds(2);
// Bounds the debt too: whatever else the process does, computing gets its turn.
constexpr absl::Duration kMaxRest = absl::Milliseconds(5);

}  // namespace

CpuBudget::CpuBudget(double quota_cpus, int num_threads)
    : cpus_(quota_cpus * kUsedShare),
      burst_(quota_cpus * kPeriod * (num_threads > quota_cpus ? kBurstOfFractions : kBurstOfWholeCpus)) {
  OCTET_CHECK(quota_cpus > 0 && num_threads >= 1);
}

absl::Duration CpuBudget::Rest(absl::Duration now, absl::Duration cpu_time) {
  if (started_) {
    credit_ += cpus_ * (now - last_now_) - (cpu_time - last_cpu_time_);
    credit_ = std::clamp(credit_, -cpus_ * kMaxRest, burst_);
  }
  started_ = true;
  last_now_ = now;
  last_cpu_time_ = cpu_time;
  const absl::Duration rest = -credit_ / cpus_;
  return rest >= kMinRest ? rest : absl::ZeroDuration();
}

}  // namespace octet
