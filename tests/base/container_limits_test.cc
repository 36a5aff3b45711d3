#include "base/container_limits.h"

#include <gtest/gtest.h>

#include "tests/model/tiny_model.h"

namespace octet {
namespace {

using octet::testing::TempDir;
using octet::testing::WriteFile;

TEST(ContainerLimitsTest, ReadsCgroupV2AndItsAncestors) {
  const TempDir root;
  WriteFile(root.File("proc/self/cgroup"), "0::/pod/app\n");
  WriteFile(root.File("proc/self/mountinfo"),
            "30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n");
  WriteFile(root.File("sys/fs/cgroup/pod/cpu.max"), "150000 100000\n");
  WriteFile(root.File("sys/fs/cgroup/pod/memory.max"), "1073741824\n");
  WriteFile(root.File("sys/fs/cgroup/pod/app/cpu.max"), "max 100000\n");
  WriteFile(root.File("sys/fs/cgroup/pod/app/memory.max"), "max\n");
  WriteFile(root.File("sys/fs/cgroup/pod/app/cpuset.cpus.effective"), "0-2,7\n");
  WriteFile(root.File("sys/fs/cgroup/pod/app/cpu.stat"),
            "usage_usec 5\nnr_periods 90\nnr_throttled 40\nthrottled_usec 2500000\n");
  const ContainerLimits limits = ContainerLimits::Detect(root.path(), 8);
  EXPECT_EQ(limits.cpu_quota(), 1.5);
  EXPECT_EQ(limits.cpuset_cpus(), 4);
  EXPECT_EQ(limits.memory_limit_bytes(), uint64_t{1} << 30);
  EXPECT_EQ(limits.NumThreads(), 2);
  ASSERT_TRUE(limits.Throttling());
  EXPECT_EQ(limits.Throttling()->time, absl::Milliseconds(2500));
  EXPECT_EQ(limits.Throttling()->periods, 90);
  EXPECT_EQ(limits.Throttling()->throttled_periods, 40);
}

TEST(ContainerLimitsTest, ReadsCgroupV1BelowAHostPath) {
  const TempDir root;
  WriteFile(root.File("proc/self/cgroup"), "4:memory:/docker/abc\n2:cpu,cpuacct:/docker/abc\n3:cpuset:/docker/abc\n");
  WriteFile(root.File("proc/self/mountinfo"),
            "30 23 0:26 /docker/abc /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct\n"
            "31 23 0:27 /docker/abc /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
            "32 23 0:28 / /sys/fs/cgroup/cpu\\040set rw - cgroup cgroup rw,cpuset\n");
  WriteFile(root.File("sys/fs/cgroup/cpu/cpu.cfs_quota_us"), "50000\n");
  WriteFile(root.File("sys/fs/cgroup/cpu/cpu.cfs_period_us"), "100000\n");
  WriteFile(root.File("sys/fs/cgroup/cpu/cpu.stat"), "nr_periods 8\nnr_throttled 3\nthrottled_time 1500000000\n");
  WriteFile(root.File("sys/fs/cgroup/memory/memory.limit_in_bytes"), "268435456\n");
  WriteFile(root.File("sys/fs/cgroup/cpu set/docker/abc/cpuset.cpus"), "3\n");
  const ContainerLimits limits = ContainerLimits::Detect(root.path(), 8);
  EXPECT_EQ(limits.cpu_quota(), 0.5);
  EXPECT_EQ(limits.cpuset_cpus(), 1);
  EXPECT_EQ(limits.memory_limit_bytes(), uint64_t{256} << 20);
  EXPECT_EQ(limits.NumThreads(), 1);
  ASSERT_TRUE(limits.Throttling());
  EXPECT_EQ(limits.Throttling()->time, absl::Milliseconds(1500));
  EXPECT_EQ(limits.Throttling()->periods, 8);
  EXPECT_EQ(limits.Throttling()->throttled_periods, 3);
}

TEST(ContainerLimitsTest, WithoutLimitsTakesTheAffinity) {
  const TempDir root;
  WriteFile(root.File("proc/self/cgroup"), "4:memory:/\n2:cpu:/\n");
  WriteFile(root.File("proc/self/mountinfo"),
            "30 23 0:26 / /cg/cpu rw - cgroup cgroup rw,cpu\n31 23 0:27 / /cg/mem rw - cgroup cgroup rw,memory\n");
  WriteFile(root.File("cg/cpu/cpu.cfs_quota_us"), "-1\n");
  WriteFile(root.File("cg/cpu/cpu.cfs_period_us"), "100000\n");
  WriteFile(root.File("cg/mem/memory.limit_in_bytes"), "9223372036854771712\n");
  for (const std::string& path : {root.path(), root.path() + "/nothing"}) {
    const ContainerLimits limits = ContainerLimits::Detect(path, 6);
    EXPECT_FALSE(limits.cpu_quota() || limits.memory_limit_bytes() || limits.Throttling());
    EXPECT_EQ(limits.NumThreads(), 6);
  }
  EXPECT_GE(ContainerLimits::Detect().affinity_cpus(), 1);  // the real machine
}

TEST(ContainerLimitsTest, CountsCpuLists) {
  EXPECT_EQ(CountCpuList("0"), 1);
  EXPECT_EQ(CountCpuList("0-3,8-9,12"), 7);
  for (const char* bad : {"", "a", "3-1", "-1", "1-2-3", "0-99999999999"}) {
    EXPECT_FALSE(CountCpuList(bad)) << bad;
  }
}

}  // namespace
}  // namespace octet
