#include "base/spin_wait.h"

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <random>
#include <thread>
#include <vector>

namespace octet {
namespace {

void Pause(uint32_t times) {
  for (uint32_t i = 0; i < times; ++i) _mm_pause();
}

TEST(SpinWaitTest, ReturnsAtOnceWhenTheWordIsThere) {
  std::atomic<uint32_t> word{3};
  WaitWhileEqual(word, 2);
  WaitUntilAtLeast(word, 3);
  WaitUntilAtLeast(word, 0);
}

TEST(SpinWaitTest, SeesWhatWasWrittenBeforeTheWord) {
  std::atomic<uint32_t> word{0};
  int written = 0;
  std::thread writer([&] {
    written = 1;
    StoreAndNotify(word, 1);
    std::this_thread::sleep_for(std::chrono::milliseconds(2));  // the waiter sleeps by then
    written = 2;
    StoreAndNotify(word, 5);
  });
  WaitUntilAtLeast(word, 1);
  WaitUntilAtLeast(word, 4);
  EXPECT_EQ(written, 2);
  writer.join();
}

TEST(SpinWaitTest, WakesAllThatSleep) {
  std::atomic<uint32_t> word{0}, awake{0};
  std::vector<std::thread> sleepers;
  for (int i = 0; i < 5; ++i) {
    sleepers.emplace_back([&] {
      WaitWhileEqual(word, 0);
      awake.fetch_add(1);
    });
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(5));
  EXPECT_EQ(awake.load(), 0u);
  StoreAndNotify(word, 1);
  for (std::thread& sleeper : sleepers) sleeper.join();
  EXPECT_EQ(awake.load(), 5u);
}

// Two threads take turns. Pauses end around the moment at which the other one falls asleep, and stores that miss the
// caches go before the word: a wake-up that is lost leaves the test waiting for good.
TEST(SpinWaitTest, NoWakeUpIsLostWhenAThreadFallsAsleep) {
  constexpr uint32_t kRounds = 30000;
  std::vector<uint64_t> memory(size_t{1} << 22);
  std::array<std::atomic<uint32_t>, 2> words{};
  auto play = [&](uint32_t player) {
    std::minstd_rand random(player + 1);
    for (uint32_t round = 1; round <= kRounds; ++round) {
      if (player == 1) WaitUntilAtLeast(words[0], round);
      Pause(random() % 2500);
      for (int i = 0; i < 64; ++i) memory[random() % memory.size() / 2 * 2 + player] = round;
      StoreAndNotify(words[player], round);
      if (player == 0) WaitUntilAtLeast(words[1], round);
    }
  };
  std::thread other(play, 1);
  play(0);
  other.join();
  EXPECT_EQ(words[0].load(), kRounds);
  EXPECT_EQ(words[1].load(), kRounds);
}

}  // namespace
}  // namespace octet
