#include "model/block_schedule.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <random>
#include <vector>

#include "kernels/thread_team.h"

namespace octet::model {
namespace {

constexpr size_t kMaxTokens = 8192;
constexpr size_t kHiddenDim = 384;

std::vector<uint32_t> Starts(const std::vector<uint32_t>& lengths) {
  std::vector<uint32_t> starts(lengths.size() + 1, 0);
  std::partial_sum(lengths.begin(), lengths.end(), starts.begin() + 1);
  return starts;
}

std::vector<BlockSchedule::Step> RunAll(BlockSchedule* schedule) {
  std::vector<BlockSchedule::Step> steps;
  while (const auto step = schedule->Next()) {
    schedule->Finish(*step);
    steps.push_back(*step);
  }
  return steps;
}

TEST(BlockScheduleTest, EveryRowOncePerPhaseInBlocksOfAllowedSize) {
  BlockSchedule schedule(kMaxTokens, kHiddenDim);
  for (const auto& lengths : std::vector<std::vector<uint32_t>>{
           {1}, {17}, {64}, {65}, {512}, {1, 1, 1}, {512, 1, 300}, std::vector<uint32_t>(64, 128), {2000, 100}}) {
    for (const size_t num_threads : {1, 2, 3, 64}) {
      for (const size_t block_rows : {0, 1, 40, 64, 384}) {
        const auto starts = Starts(lengths);
        schedule.Plan(starts, 3, num_threads, block_rows);
        std::vector<std::vector<int>> times(3, std::vector<int>(starts.back(), 0));
        for (const auto& [phase, block_idx, rows] : RunAll(&schedule)) {
          ASSERT_LT(block_idx, schedule.num_blocks());
          ASSERT_GE(rows.size, 1u);
          ASSERT_LE(rows.size, block_rows == 0 ? kMaxBlockRows : block_rows);
          for (size_t r = rows.begin; r < rows.begin + rows.size; ++r) ++times.at(phase).at(r);
        }
        for (const auto& phase : times) EXPECT_EQ(phase, std::vector<int>(starts.back(), 1));
      }
    }
  }
}

TEST(BlockScheduleTest, EveryThreadGetsAsManyBlocksOfNearlyOneSize) {
  BlockSchedule schedule(kMaxTokens, kHiddenDim);
  const std::vector<uint32_t> starts = {0, 17};
  schedule.Plan(starts, 1, 2, 0);
  const auto steps = RunAll(&schedule);
  ASSERT_EQ(steps.size(), 2u);
  EXPECT_EQ(steps[0].rows.size, 9u);
  EXPECT_EQ(steps[1].rows.size, 8u);
}

// A thread that has finished its block must not wait for blocks whose texts are others'.
TEST(BlockScheduleTest, WaitsOnlyForBlocksOfItsTexts) {
  BlockSchedule schedule(kMaxTokens, kHiddenDim);
  const auto starts = Starts({64, 64, 64, 64});
  schedule.Plan(starts, 2, 1, 64);
  std::vector<BlockSchedule::Step> first_phase;
  for (int i = 0; i < 4; ++i) first_phase.push_back(schedule.Next().value());
  for (int i = 0; i < 3; ++i) schedule.Finish(first_phase[i]);
  for (size_t i = 0; i < 3; ++i) {
    const auto step = schedule.Next();  // hangs if it waits for the fourth
    ASSERT_TRUE(step.has_value());
    EXPECT_EQ(step->phase, 1u);
    EXPECT_EQ(step->block_idx, i);
  }
}

TEST(BlockScheduleTest, GroupPassesAllPhasesBeforeTheNextAndHasWholeTexts) {
  constexpr size_t kPhases = 3;
  BlockSchedule schedule(kMaxTokens, kHiddenDim);
  const std::vector<uint32_t> starts = Starts(std::vector<uint32_t>(40, 100));
  schedule.Plan(starts, kPhases, 1, 0);
  size_t num_groups = 0, group_begin = 0, end = 0, last_phase = kPhases - 1;
  for (const auto& [phase, block_idx, rows] : RunAll(&schedule)) {
    if (phase < last_phase) {
      EXPECT_EQ(last_phase, kPhases - 1);
      EXPECT_EQ(end % 100, 0u) << "a text is in two groups";
      group_begin = end;
      ++num_groups;
    }
    if (phase != last_phase) {
      EXPECT_EQ(rows.begin, group_begin);
    }
    last_phase = phase;
    end = rows.begin + rows.size;
  }
  EXPECT_GT(num_groups, 2u);
  EXPECT_EQ(end, starts.back());
}

// So a thread that is ahead can take what another has not begun.
TEST(BlockScheduleTest, BlocksShrinkInTheLastPhaseOfTheLastGroup) {
  constexpr size_t kPhases = 3;
  BlockSchedule schedule(kMaxTokens, kHiddenDim);
  const auto starts = Starts(std::vector<uint32_t>(16, 128));  // two groups
  schedule.Plan(starts, kPhases, 2, 0);
  std::vector<size_t> last_rows;
  for (const auto& [phase, block_idx, rows] : RunAll(&schedule)) {
    if (phase + 1 == kPhases && rows.begin >= 1024) {
      last_rows.push_back(rows.size);
    } else {
      EXPECT_EQ(rows.size, 256u);
    }
  }
  EXPECT_EQ(last_rows, (std::vector<size_t>{256, 256, 256, 128, 64, 64}));
}

TEST(BlockScheduleTest, BlocksShrinkOnlyWhereThreadsCouldWaitForEachOther) {
  BlockSchedule schedule(kMaxTokens, kHiddenDim);
  const auto sizes = [&](const std::vector<uint32_t>& lengths, size_t num_threads) {
    std::vector<size_t> last_rows;
    schedule.Plan(Starts(lengths), 2, num_threads, 0);
    for (const auto& step : RunAll(&schedule)) {
      if (step.phase == 1) last_rows.push_back(step.rows.size);
    }
    return last_rows;
  };
  EXPECT_EQ(sizes({384}, 1), (std::vector<size_t>{384}));
  EXPECT_EQ(sizes({128, 126}, 2), (std::vector<size_t>{127, 127})) << "too small to be cut";
  EXPECT_EQ(sizes({128, 128}, 2), (std::vector<size_t>{128, 64, 64}));
}

TEST(BlockScheduleTest, FewRowsStayOneBlockWhateverItsLargestSize) {
  BlockSchedule schedule(/*max_tokens=*/1, kHiddenDim);
  schedule.Plan(Starts({1}), 3, 2, kMaxBlockRows);
  EXPECT_EQ(schedule.num_blocks(), 1u);
  EXPECT_EQ(RunAll(&schedule).size(), 3u);
}

// Each step writes its rows' values for the next phase, as keys and values are written, and reads those of all rows of
// its texts. Two copies take turns, so a step that comes too early reads an older value, or overwrites one in use.
TEST(BlockScheduleTest, StepsSeeWhatTheirTextsWroteInThePhaseBefore) {
  constexpr size_t kPhases = 7;
  BlockSchedule schedule(kMaxTokens, kHiddenDim);
  std::mt19937 random(1);
  std::uniform_int_distribution<uint32_t> length(1, 300);
  for (const int num_threads : {1, 2, 3, 7}) {
    kernels::ThreadTeam team(num_threads);
    for (int round = 0; round < 20; ++round) {
      std::vector<uint32_t> lengths(20);
      for (auto& l : lengths) l = round % 2 == 0 ? length(random) : length(random) % 30 + 1;
      const auto starts = Starts(lengths);
      schedule.Plan(starts, kPhases, static_cast<size_t>(num_threads), round % 3 == 0 ? 5 : 0);
      std::vector<size_t> values[2];  // not atomic: ThreadSanitizer sees a step that is not ordered
      for (auto& v : values) v.assign(starts.back(), 0);
      std::vector<int> wrong(num_threads, 0);
      team.Run([&](int thread_idx) {
        while (const auto step = schedule.Next()) {
          const size_t begin = step->rows.begin, end = begin + step->rows.size;
          for (size_t text = 0; text + 1 < starts.size() && step->phase > 0; ++text) {
            if (starts[text + 1] <= begin || starts[text] >= end) continue;
            for (size_t r = starts[text]; r < starts[text + 1]; ++r) {
              wrong[thread_idx] += values[(step->phase - 1) % 2][r] != step->phase;
            }
          }
          for (size_t r = begin; r < end; ++r) values[step->phase % 2][r] = step->phase + 1;
          schedule.Finish(*step);
        }
      });
      EXPECT_EQ(wrong, std::vector<int>(num_threads, 0));
    }
  }
}

}  // namespace
}  // namespace octet::model
