#include "serving/batch_policy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <random>
#include <vector>

namespace octet::serving {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr MonotonicTime kNow = absl::Seconds(100);

struct TestCall {
  std::vector<uint32_t> tokens;
  uint64_t model = 1;
  MonotonicTime enqueued = kNow;
  MonotonicTime deadline = absl::InfiniteDuration();
  bool cancelled = false;
};

std::vector<WaitingCall> View(const std::vector<TestCall>& calls) {
  std::vector<WaitingCall> view;
  for (const TestCall& call : calls) {
    view.push_back({call.model, call.enqueued, call.deadline, call.cancelled, call.tokens});
  }
  return view;
}

BatchCut Cut(const BatchPolicyOptions& options, const std::vector<TestCall>& calls, uint64_t last_model = 0,
             MonotonicTime now = kNow) {
  return CutBatch(options, View(calls), now, last_model);
}

std::vector<std::pair<size_t, size_t>> Parts(const BatchCut& cut) {
  std::vector<std::pair<size_t, size_t>> parts;
  for (const BatchPart& part : cut.parts) parts.emplace_back(part.call_idx, part.num_texts);
  return parts;
}

TEST(BatchPolicyTest, EmptyQueueGivesNothing) {
  const BatchCut cut = Cut({}, {});
  EXPECT_THAT(cut.parts, IsEmpty());
  EXPECT_FALSE(cut.wait_until);
}

TEST(BatchPolicyTest, TakesAllThatFits) {
  const BatchCut cut = Cut({.max_batch_tokens = 100}, {{{10}}, {{20, 30}}, {{40}}});
  EXPECT_THAT(Parts(cut), ElementsAre(std::pair(0, 1), std::pair(1, 2), std::pair(2, 1)));
}

TEST(BatchPolicyTest, StopsAtExactlyTheTokenBudget) {
  EXPECT_THAT(Parts(Cut({.max_batch_tokens = 30}, {{{10}}, {{20}}, {{1}}})),
              ElementsAre(std::pair(0, 1), std::pair(1, 1)));
  EXPECT_THAT(Parts(Cut({.max_batch_tokens = 29}, {{{10}}, {{20}}, {{1}}})),
              ElementsAre(std::pair(0, 1), std::pair(2, 1)));
}

TEST(BatchPolicyTest, StopsAtTheTextLimit) {
  EXPECT_THAT(Parts(Cut({.max_batch_texts = 2}, {{{1}}, {{1}}, {{1}}})), ElementsAre(std::pair(0, 1), std::pair(1, 1)));
}

TEST(BatchPolicyTest, ATextAboveTheBudgetGoesAlone) {
  EXPECT_THAT(Parts(Cut({.max_batch_tokens = 10}, {{{50}}, {{1}}})), ElementsAre(std::pair(0, 1)));
}

TEST(BatchPolicyTest, ShortCallsPassBetweenTheTextsOfALongOne) {
  // The long call may fill a quarter of 128 tokens first, the others then get their turn, and what is
  // left (128 - 32 - 3 * 8 = 72 tokens, 9 texts) goes back to the long one.
  const TestCall long_call = {std::vector<uint32_t>(100, 8)};
  EXPECT_THAT(Parts(Cut({.max_batch_tokens = 128}, {long_call, {{8}}, {{8}}, {{8}}})),
              ElementsAre(std::pair(0, 13), std::pair(1, 1), std::pair(2, 1), std::pair(3, 1)));
}

TEST(BatchPolicyTest, LongCallsShareAlikeBesideTheOldest) {
  const TestCall long_call = {std::vector<uint32_t>(100, 10)};
  // Room for 100 texts: 25 to the oldest, one each to the others, the last 73 in turns of one over all.
  EXPECT_THAT(Parts(Cut({.max_batch_tokens = 1000}, {long_call, long_call, long_call})),
              ElementsAre(std::pair(0, 50), std::pair(1, 25), std::pair(2, 25)));
}

TEST(BatchPolicyTest, DropsExpiredAndCancelledAndKeepsTheRest) {
  const BatchCut cut = Cut({}, {{.tokens = {1}, .deadline = kNow},
                                {.tokens = {1}, .cancelled = true},
                                {.tokens = {1}, .deadline = kNow + absl::Nanoseconds(1)},
                                {.tokens = {1}, .deadline = kNow - absl::Hours(1), .cancelled = true}});
  EXPECT_THAT(cut.expired, ElementsAre(0));
  EXPECT_THAT(cut.cancelled, ElementsAre(1, 3));
  EXPECT_THAT(Parts(cut), ElementsAre(std::pair(2, 1)));
}

TEST(BatchPolicyTest, DropsEvenWhileItWaits) {
  const BatchCut cut =
      Cut({.max_batch_delay = absl::Seconds(1)}, {{.tokens = {1}, .cancelled = true}, {.tokens = {1}}});
  EXPECT_THAT(cut.cancelled, ElementsAre(0));
  EXPECT_THAT(cut.parts, IsEmpty());
  EXPECT_EQ(cut.wait_until, kNow + absl::Seconds(1));
}

TEST(BatchPolicyTest, DelayEndsAtTheOldestCallsAge) {
  const BatchPolicyOptions options = {.max_batch_delay = absl::Milliseconds(5)};
  const std::vector<TestCall> calls = {{.tokens = {1}, .enqueued = kNow - absl::Milliseconds(3)},
                                       {.tokens = {1}, .enqueued = kNow}};
  EXPECT_EQ(Cut(options, calls).wait_until, kNow + absl::Milliseconds(2));
  EXPECT_THAT(Parts(Cut(options, calls, 0, kNow + absl::Milliseconds(2))),
              ElementsAre(std::pair(0, 1), std::pair(1, 1)));
}

TEST(BatchPolicyTest, AFullBatchDoesNotWait) {
  const BatchPolicyOptions options = {
      .max_batch_tokens = 20, .max_batch_texts = 3, .max_batch_delay = absl::Seconds(1)};
  EXPECT_TRUE(Cut(options, {{{19}}}).wait_until);
  EXPECT_FALSE(Cut(options, {{{20}}}).wait_until);
  EXPECT_FALSE(Cut(options, {{{1}}, {{1, 1}}}).wait_until);
}

TEST(BatchPolicyTest, AFullModelIsNotHeldUpByAnotherThatWaits) {
  const BatchPolicyOptions options = {.max_batch_tokens = 20, .max_batch_delay = absl::Seconds(1)};
  const BatchCut cut = Cut(options, {{.tokens = {1}, .model = 1}, {.tokens = {20}, .model = 2}});
  EXPECT_EQ(cut.model_key, 2);
  EXPECT_THAT(Parts(cut), ElementsAre(std::pair(1, 1)));
  EXPECT_FALSE(cut.wait_until);
}

TEST(BatchPolicyTest, ModelsTakeTurnsAndNeverMix) {
  const std::vector<TestCall> calls = {{{1}, 7}, {{1}, 3}, {{1}, 7}, {{1}, 5}};
  EXPECT_THAT(Parts(Cut({}, calls, 0)), ElementsAre(std::pair(1, 1)));
  EXPECT_THAT(Parts(Cut({}, calls, 3)), ElementsAre(std::pair(3, 1)));
  EXPECT_THAT(Parts(Cut({}, calls, 5)), ElementsAre(std::pair(0, 1), std::pair(2, 1)));
  EXPECT_THAT(Parts(Cut({}, calls, 7)), ElementsAre(std::pair(1, 1)));
}

// Random queues, cut until they are empty: what must hold of every cut and of all together.
class BatchPolicyPropertyTest : public ::testing::TestWithParam<int> {};

TEST_P(BatchPolicyPropertyTest, EveryTextIsComputedOnceInOrderWithinTheBudget) {
  std::mt19937 random(static_cast<uint32_t>(GetParam()));
  const auto pick = [&](uint32_t low, uint32_t high) { return low + random() % (high - low + 1); };
  for (int round = 0; round < 200; ++round) {
    const BatchPolicyOptions options = {.max_batch_tokens = pick(8, 300), .max_batch_texts = pick(1, 40)};
    std::vector<TestCall> calls(pick(1, 30));
    size_t texts_left = 0;
    for (TestCall& call : calls) {
      call.model = pick(1, 3);
      for (uint32_t i = pick(1, 20); i > 0; --i) {
        call.tokens.push_back(pick(1, static_cast<uint32_t>(options.max_batch_tokens)));
      }
      texts_left += call.tokens.size();
    }
    uint64_t last_model = 0;
    while (!calls.empty()) {
      const BatchCut cut = Cut(options, calls, last_model);
      ASSERT_FALSE(cut.parts.empty());  // always progresses
      size_t tokens = 0, texts = 0, previous_idx = 0;
      // The oldest call of the batch's model is always served.
      size_t oldest = 0;
      while (calls[oldest].model != cut.model_key) ++oldest;
      ASSERT_EQ(cut.parts.front().call_idx, oldest);
      for (const BatchPart& part : cut.parts) {
        ASSERT_TRUE(&part == &cut.parts.front() || part.call_idx > previous_idx);
        previous_idx = part.call_idx;
        ASSERT_EQ(calls[part.call_idx].model, cut.model_key);
        ASSERT_GE(part.num_texts, 1u);
        ASSERT_LE(part.num_texts, calls[part.call_idx].tokens.size());
        for (size_t i = 0; i < part.num_texts; ++i) tokens += calls[part.call_idx].tokens[i];
        texts += part.num_texts;
      }
      ASSERT_LE(tokens, options.max_batch_tokens);
      ASSERT_LE(texts, options.max_batch_texts);
      // Work-conserving: no call that was left out entirely could still have been served.
      for (size_t c = 0; c < calls.size(); ++c) {
        if (calls[c].model != cut.model_key || texts == options.max_batch_texts) continue;
        size_t taken = 0;
        for (const BatchPart& part : cut.parts) taken += part.call_idx == c ? part.num_texts : 0;
        if (taken == calls[c].tokens.size()) continue;
        ASSERT_GT(tokens + calls[c].tokens[taken], options.max_batch_tokens);
      }
      for (auto part = cut.parts.rbegin(); part != cut.parts.rend(); ++part) {
        auto& left = calls[part->call_idx].tokens;
        left.erase(left.begin(), left.begin() + static_cast<ptrdiff_t>(part->num_texts));
        if (left.empty()) calls.erase(calls.begin() + static_cast<ptrdiff_t>(part->call_idx));
      }
      ASSERT_GE(texts_left, texts);
      texts_left -= texts;
      last_model = cut.model_key;
    }
    ASSERT_EQ(texts_left, 0u);
  }
}

// A newcomer of one text is in the next batch of its model as long as its turn comes before the batch is
// full, however long the calls before it are.
TEST_P(BatchPolicyPropertyTest, AShortCallNeverWaitsBehindFewLongOnes) {
  std::mt19937 random(static_cast<uint32_t>(GetParam()));
  for (int round = 0; round < 200; ++round) {
    std::vector<TestCall> calls(1 + random() % 8);
    for (TestCall& call : calls) call.tokens.assign(64 + random() % 64, 16 + random() % 48);
    calls.push_back({{8}});
    // 1024: a quarter for the oldest, and a text of at most 64 tokens for each of the others.
    const BatchCut cut = Cut({.max_batch_tokens = 1024, .max_batch_texts = 512}, calls);
    ASSERT_EQ(cut.parts.back().call_idx, calls.size() - 1);
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, BatchPolicyPropertyTest, ::testing::Range(1, 9));

}  // namespace
}  // namespace octet::serving
