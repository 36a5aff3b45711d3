#include "serving/admission.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

#include "serving/request.h"

namespace octet::serving {
namespace {

constexpr size_t kText = Admission::kBytesPerText;
constexpr AdmissionLimits kLimits = {.max_pending_bytes = 1000, .max_queue_tokens = 100, .max_queue_texts = 10};

TEST(AdmissionTest, AdmitsUpToExactlyTheLimit) {
  Admission admission(kLimits);
  const auto first = admission.AdmitTokens(60, 1);
  const auto second = admission.AdmitTokens(40, 1);
  EXPECT_TRUE(first.ok() && second.ok());
  EXPECT_TRUE(absl::IsResourceExhausted(admission.AdmitTokens(1, 1).status()));
}

TEST(AdmissionTest, LimitsTextsAsWellAsTokens) {
  Admission admission(kLimits);
  const auto ten = admission.AdmitTokens(10, 10);
  ASSERT_TRUE(ten.ok());
  EXPECT_FALSE(admission.AdmitTokens(1, 1).ok());
}

TEST(AdmissionTest, EmptyTextsCostTheirState) {
  Admission admission({.max_pending_bytes = 3 * kText, .max_queue_tokens = 1, .max_queue_texts = 1});
  const auto three = admission.AdmitBytes(0, 3);
  ASSERT_TRUE(three.ok());
  EXPECT_FALSE(admission.AdmitBytes(0, 1).ok());
}

TEST(AdmissionTest, WhatComesAloneIsAlwaysAdmitted) {
  Admission admission(kLimits);
  EXPECT_TRUE(admission.AdmitBytes(5000, 1).ok());
  EXPECT_TRUE(admission.AdmitTokens(500, 50).ok());
}

TEST(AdmissionTest, HiddenStatesHaveALimitOfTheirOwn) {
  Admission admission(
      {.max_pending_bytes = 1, .max_queue_tokens = 1, .max_queue_texts = 1, .max_hidden_state_bytes = 100});
  auto large = admission.AdmitHiddenStates(500);  // alone
  ASSERT_TRUE(large.ok());
  EXPECT_EQ(ReasonOf(admission.AdmitHiddenStates(1).status()), kReasonQueueFull);
  EXPECT_TRUE(admission.AdmitTokens(1, 1).ok());
  large->Reset();
  const auto first = admission.AdmitHiddenStates(60), second = admission.AdmitHiddenStates(40);
  EXPECT_TRUE(first.ok() && second.ok());
  EXPECT_FALSE(admission.AdmitHiddenStates(1).ok());
  EXPECT_EQ(admission.Use().hidden_state_bytes, 100u);
}

TEST(AdmissionTest, RefusalSaysWhenToComeBack) {
  Admission admission(kLimits);
  const auto held = admission.AdmitTokens(100, 1);
  const absl::Status refused = admission.AdmitTokens(1, 1).status();
  EXPECT_EQ(refused.message(), "queue: full");
  EXPECT_EQ(ReasonOf(refused), kReasonQueueFull);
  ASSERT_TRUE(RetryAfterOf(refused));
  EXPECT_GE(*RetryAfterOf(refused), absl::Milliseconds(10));
  EXPECT_LE(*RetryAfterOf(refused), absl::Seconds(5));
}

TEST(AdmissionTest, RetryTimeFollowsTheQueueAndTheSpeed) {
  Admission admission({.max_pending_bytes = 1, .max_queue_tokens = 1 << 30, .max_queue_texts = 1 << 30});
  admission.RecordBatch(1000, absl::Seconds(1));
  EXPECT_EQ(admission.EstimateDrainTime(), absl::Milliseconds(10));  // nothing waits
  const auto some = admission.AdmitTokens(500, 1);
  EXPECT_EQ(admission.EstimateDrainTime(), absl::Milliseconds(500));
  const auto many = admission.AdmitTokens(1'000'000, 1);
  EXPECT_EQ(admission.EstimateDrainTime(), absl::Seconds(5));
  for (int i = 0; i < 100; ++i) admission.RecordBatch(1'000'000, absl::Seconds(1));
  EXPECT_LT(admission.EstimateDrainTime(), absl::Milliseconds(1100));
  admission.RecordBatch(5, absl::ZeroDuration());  // a clock that stood still says nothing
  EXPECT_LT(admission.EstimateDrainTime(), absl::Milliseconds(1100));
}

TEST(AdmissionTest, TicketsGiveBackOnEveryPath) {
  Admission admission(kLimits);
  {
    auto ticket = admission.AdmitTokens(50, 5);
    ASSERT_TRUE(ticket.ok());
    Admission::Ticket moved = *std::move(ticket);
    moved.GiveBack(20, 2);
    EXPECT_EQ(admission.Use().queue_tokens, 30u);
    EXPECT_EQ(admission.Use().queue_texts, 3u);
    moved.GiveBack(1000, 1000);  // never more than it holds
    EXPECT_EQ(admission.Use().queue_tokens, 0u);
    moved.Reset();
    moved.Reset();
    Admission::Ticket other = *admission.AdmitTokens(7, 1);
    moved = std::move(other);
    EXPECT_EQ(admission.Use().queue_tokens, 7u);
    moved = Admission::Ticket();
    EXPECT_EQ(admission.Use().queue_tokens, 0u);
    moved = *admission.AdmitBytes(10, 1);
    EXPECT_EQ(admission.Use().pending_bytes, 10 + kText);
  }
  EXPECT_EQ(admission.Use().pending_bytes, 0u);
}

TEST(AdmissionTest, NeverHoldsMoreThanTheLimitUnderConcurrency) {
  Admission admission(kLimits);
  std::atomic<size_t> admitted{0};
  std::atomic<bool> exceeded{false};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 2000; ++i) {
        const auto ticket = admission.AdmitTokens(30, 3);
        admitted += ticket.ok();
        if (admission.Use().queue_tokens > 100) exceeded = true;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_FALSE(exceeded);
  EXPECT_GT(admitted, 0u);
  EXPECT_EQ(admission.Use().queue_tokens, 0u);
  EXPECT_EQ(admission.Use().queue_texts, 0u);
}

}  // namespace
}  // namespace octet::serving
