#include "base/cpu_pacer.h"

#include <gtest/gtest.h>

#include <ctime>
#include <thread>
#include <vector>

#include "absl/time/clock.h"

namespace octet {
namespace {

absl::Duration ProcessCpuTime() {
  timespec now{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return absl::DurationFromTimespec(now);
}

void Spin(absl::Duration cpu_time) {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  const absl::Duration end = absl::DurationFromTimespec(now) + cpu_time;
  while (absl::DurationFromTimespec(now) < end) clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
}

// An upper bound only: a busy machine makes it use less.
TEST(CpuPacerTest, TwoThreadsStayWithinAQuotaOfHalfACpu) {
  CpuPacer pacer(/*quota_cpus=*/0.5, /*num_threads=*/2);
  const absl::Time start = absl::Now();
  const absl::Duration cpu_before = ProcessCpuTime();
  std::vector<std::thread> threads;
  for (int i = 0; i < 2; ++i) {
    threads.emplace_back([&pacer] {
      for (int piece = 0; piece < 50; ++piece) {
        Spin(absl::Milliseconds(1));
        pacer.Pace();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  // Nothing is saved up at the start; the first look sets it, after a piece of each thread.
  EXPECT_LE(ProcessCpuTime() - cpu_before, 0.5 * (absl::Now() - start) + absl::Milliseconds(5));
}

}  // namespace
}  // namespace octet
