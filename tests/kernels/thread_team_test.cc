#include "kernels/thread_team.h"

#include <gtest/gtest.h>

#include <vector>

namespace octet::kernels {
namespace {

TEST(ThreadTeamTest, RunsBodyOncePerThreadAndReturnsWhenAllAreDone) {
  for (int num_threads : {1, 2, 3, 7}) {
    ThreadTeam team(num_threads);
    EXPECT_EQ(team.num_threads(), num_threads);
    for (int round = 0; round < 200; ++round) {
      std::vector<int> calls(num_threads, 0);  // not atomic: a race would be one
      team.Run([&](int thread_idx) { ++calls[thread_idx]; });
      EXPECT_EQ(calls, std::vector<int>(num_threads, 1));
    }
  }
}

TEST(ThreadTeamTest, RunsAloneBetweenRunsOfAll) {
  ThreadTeam team(3);
  for (int round = 0; round < 200; ++round) {
    std::vector<int> calls(3, 0);
    team.RunAlone([&](int thread_idx) { ++calls[thread_idx]; });
    EXPECT_EQ(calls, (std::vector<int>{1, 0, 0}));
    team.Run([&](int thread_idx) { ++calls[thread_idx]; });
    EXPECT_EQ(calls, (std::vector<int>{2, 1, 1}));
  }
}

}  // namespace
}  // namespace octet::kernels
