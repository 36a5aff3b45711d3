// Waiting for another thread's atomic counter: spin briefly, then sleep. Whoever changes the counter does it by
// StoreAndNotify.
#ifndef OCTET_BASE_SPIN_WAIT_H_
#define OCTET_BASE_SPIN_WAIT_H_

#include <atomic>
#include <cstdint>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace octet {

// Returns once `word` is no longer `old`.
inline void WaitWhileEqual(const std::atomic<uint32_t>& word, uint32_t old) {
  // About 100 us: longer than the usual difference between two threads' row blocks (of 65 and 64 rows one has a product more, 50 us;
  // waking up from its sleep in every layer took another 160 us of 2.2 ms), far shorter than a scheduling quantum. Not a number of
  // pauses, each of which is 40 to 140 cycles.
  constexpr uint64_t kSpinTicks = 250'000;
  const uint64_t begin = __rdtsc();
  do {
    if (word.load(std::memory_order_acquire) != old) return;
    _mm_pause();
  } while (__rdtsc() - begin < kSpinTicks);
  while (word.load(std::memory_order_acquire) == old) word.wait(old, std::memory_order_acquire);
}

// Returns once `word`, which only grows, is `least` or more.
inline void WaitUntilAtLeast(const std::atomic<uint32_t>& word, uint32_t least) {
  for (uint32_t value; (value = word.load(std::memory_order_acquire)) < least;) WaitWhileEqual(word, value);
}

// Wakes whoever waits for `word`. One writer at a time.
inline void StoreAndNotify(std::atomic<uint32_t>& word, uint32_t value) {
  // Sequentially consistent, and not only release: libstdc++ makes no system call when its count of sleepers is 0, and a
  // weaker store may still be on its way when that count is read. A waiter that counts itself in between, and
  // then sees the old value, would sleep for good.
  word.store(value, std::memory_order_seq_cst);
  word.notify_all();
}

}  // namespace octet

#endif  // OCTET_BASE_SPIN_WAIT_H_
