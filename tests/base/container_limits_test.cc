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

TEST(ContainerLimitsTest, FractionsOfACpuRoundUp) {
  struct Case {
    const char* cpu_max;
    int num_threads;
  };
  for (const Case& c : {Case{"10000 100000", 1}, Case{"100000 100000", 1}, Case{"101000 100000", 2},
                        Case{"125000 50000", 3}, Case{"900000 100000", 4}, Case{"max 100000", 4}, Case{"0 100000", 4},
                        Case{"-1 100000", 4}, Case{"100000", 4}, Case{"", 4}}) {
    const TempDir root;
    WriteFile(root.File("proc/self/cgroup"), "0::/\n");
    WriteFile(root.File("proc/self/mountinfo"), "30 23 0:26 / /cg rw - cgroup2 cgroup2 rw\n");
    WriteFile(root.File("cg/cpu.max"), c.cpu_max);
    WriteFile(root.File("cg/cpuset.cpus.effective"), "0-3\n");
    const ContainerLimits limits = ContainerLimits::Detect(root.path(), 6);
    EXPECT_EQ(limits.NumThreads(), c.num_threads) << c.cpu_max;
    EXPECT_EQ(limits.NumCpus(), 4) << c.cpu_max;
  }
}

// A container in a pod: the pod has the quota and the set, the container neither.
TEST(ContainerLimitsTest, NestedGroupsHaveWhatTheirAncestorsHave) {
  const TempDir root;
  WriteFile(root.File("proc/self/cgroup"), "0::/pod/app\n");
  WriteFile(root.File("proc/self/mountinfo"), "30 23 0:26 / /cg rw - cgroup2 cgroup2 rw\n");
  WriteFile(root.File("cg/pod/cpu.max"), "200000 100000\n");
  WriteFile(root.File("cg/pod/cpu.stat"), "nr_periods 20\nnr_throttled 7\nthrottled_usec 9000\n");
  WriteFile(root.File("cg/pod/cpuset.cpus.effective"), "0-2\n");
  WriteFile(root.File("cg/pod/memory.max"), "1000000\n");
  WriteFile(root.File("cg/pod/app/cpu.max"), "max 100000\n");
  WriteFile(root.File("cg/pod/app/cpu.stat"), "nr_periods 30\nnr_throttled 0\nthrottled_usec 0\n");
  WriteFile(root.File("cg/pod/app/memory.max"), "2000000\n");
  const ContainerLimits limits = ContainerLimits::Detect(root.path(), 8);
  EXPECT_EQ(limits.cpu_quota(), 2);
  EXPECT_EQ(limits.cpuset_cpus(), 3);
  EXPECT_EQ(limits.NumThreads(), 2);
  EXPECT_EQ(limits.memory_limit_bytes(), 1000000);
  ASSERT_TRUE(limits.Throttling().has_value());
  EXPECT_EQ(limits.Throttling()->time, absl::Milliseconds(9));
  EXPECT_EQ(limits.Throttling()->periods, 20);
  EXPECT_EQ(limits.Throttling()->throttled_periods, 7);
}

TEST(ContainerLimitsTest, AGroupWhoseNameOnlyBeginsLikeTheMountedOneIsAnother) {
  const TempDir root;
  WriteFile(root.File("proc/self/cgroup"), "2:cpu:/pods/pod12\n");
  WriteFile(root.File("proc/self/mountinfo"), "30 23 0:26 /pods/pod1 /cg rw - cgroup cgroup rw,cpu\n");
  WriteFile(root.File("cg/cpu.cfs_quota_us"), "300000\n");
  WriteFile(root.File("cg/cpu.cfs_period_us"), "100000\n");
  WriteFile(root.File("cg2/cpu.cfs_quota_us"), "100000\n");  // what the two names glued together would read
  WriteFile(root.File("cg2/cpu.cfs_period_us"), "100000\n");
  EXPECT_EQ(ContainerLimits::Detect(root.path(), 8).cpu_quota(), 3);
}

// Namespaces: names as seen from inside, and from outside of the one that the mount belongs to.
TEST(ContainerLimitsTest, ReadsTheMountedGroupInsideANamespace) {
  for (const char* groups : {"0::/\n", "0::/../other\n"}) {
    const TempDir root;
    WriteFile(root.File("proc/self/cgroup"), groups);
    WriteFile(root.File("proc/self/mountinfo"), "30 23 0:26 / /cg rw - cgroup2 cgroup2 rw\n");
    WriteFile(root.File("cg/cpu.max"), "100000 100000\n");
    WriteFile(root.File("other/cpu.max"), "500000 100000\n");
    EXPECT_EQ(ContainerLimits::Detect(root.path(), 8).NumThreads(), 1) << groups;
  }
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
