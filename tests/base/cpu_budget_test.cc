#include "base/cpu_budget.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

namespace octet {
namespace {

constexpr absl::Duration kPeriod = absl::Milliseconds(100);

// A process that computes in pieces of 2 ms on `num_threads` threads, while its others use `others` CPUs.
class Simulation {
 public:
  Simulation(double quota_cpus, int num_threads, double others)
      : budget_(quota_cpus, num_threads), num_threads_(num_threads), others_(others) {}

  // CPU time used in each of the kernel's periods.
  std::vector<absl::Duration> Run(absl::Duration duration) {
    std::vector<absl::Duration> used(static_cast<size_t>(duration / kPeriod) + 1);
    const absl::Duration end = now_ + duration, start = now_;
    while (now_ < end) {
      Advance(absl::Milliseconds(2), num_threads_, start, &used);
      Advance(budget_.Rest(now_, cpu_), 0, start, &used);
    }
    used.pop_back();
    return used;
  }

  void Idle(absl::Duration duration) { now_ += duration; }

 private:
  void Advance(absl::Duration wall, double computing, absl::Duration start, std::vector<absl::Duration>* used) {
    const absl::Duration cpu = wall * (computing + others_);
    const auto period = static_cast<size_t>((now_ - start) / kPeriod);
    if (period < used->size()) (*used)[period] += cpu;
    now_ += wall;
    cpu_ += cpu;
  }

  CpuBudget budget_;
  const double num_threads_, others_;
  absl::Duration now_ = absl::Seconds(1000), cpu_ = absl::Seconds(3);
};

absl::Duration Sum(const std::vector<absl::Duration>& durations) {
  absl::Duration sum;
  for (const absl::Duration duration : durations) sum += duration;
  return sum;
}

TEST(CpuBudgetTest, KeepsEveryPeriodWithinTheQuotaAndUsesNearlyAllOfIt) {
  struct Case {
    double quota, others;
    int num_threads;
  };
  for (const Case& c : {Case{1, 0.07, 1}, Case{2, 0.2, 2}, Case{8, 0.5, 8}, Case{1, 0.5, 1}}) {
    Simulation simulation(c.quota, c.num_threads, c.others);
    const std::vector<absl::Duration> used = simulation.Run(absl::Seconds(20));
    // A piece that has begun is finished, and is counted where it began.
    const absl::Duration piece = absl::Milliseconds(2) * (c.num_threads + c.others);
    EXPECT_LE(*std::max_element(used.begin(), used.end()), kPeriod * c.quota + piece) << c.quota;
    EXPECT_LE(Sum(used), absl::Seconds(20) * c.quota) << c.quota;
    EXPECT_GE(Sum(used), absl::Seconds(20) * c.quota * 0.96) << c.quota;
  }
}

TEST(CpuBudgetTest, NeverRestsBelowTheQuota) {
  CpuBudget budget(2, 2);
  for (int i = 0; i < 1000; ++i) {
    EXPECT_EQ(budget.Rest(absl::Milliseconds(10 * i), absl::Milliseconds(19 * i)), absl::ZeroDuration()) << i;
  }
}

TEST(CpuBudgetTest, AFractionLetsAShortCallRunAtFullSpeed) {
  Simulation simulation(0.5, 1, 0);
  simulation.Run(absl::Seconds(1));
  simulation.Idle(absl::Seconds(10));
  // Half of a period's 50 ms is saved up, and no more however long it was idle.
  EXPECT_GE(simulation.Run(kPeriod)[0], absl::Milliseconds(50));
  const std::vector<absl::Duration> used = simulation.Run(absl::Seconds(1));
  EXPECT_LE(*std::max_element(used.begin(), used.end()), absl::Milliseconds(52));
}

TEST(CpuBudgetTest, ASmallDebtWaitsUntilItIsWorthARest) {
  CpuBudget budget(1, 1);
  budget.Rest(absl::ZeroDuration(), absl::ZeroDuration());
  EXPECT_EQ(budget.Rest(absl::Milliseconds(10), absl::Milliseconds(11)), absl::ZeroDuration());
  const absl::Duration rest = budget.Rest(absl::Milliseconds(20), absl::Milliseconds(22));
  EXPECT_GE(rest, absl::Milliseconds(2));
  EXPECT_LE(rest, absl::Milliseconds(3));
}

TEST(CpuBudgetTest, ComputingGetsItsTurnWhateverElseTheProcessDoes) {
  CpuBudget budget(1, 1);
  budget.Rest(absl::ZeroDuration(), absl::ZeroDuration());
  EXPECT_EQ(budget.Rest(absl::Seconds(1), absl::Seconds(100)), absl::Milliseconds(5));
  EXPECT_EQ(budget.Rest(absl::Seconds(1), absl::Seconds(200)), absl::Milliseconds(5));
  EXPECT_EQ(budget.Rest(absl::Seconds(2), absl::Seconds(200)), absl::ZeroDuration());
}

}  // namespace
}  // namespace octet
