// The one lock type of the project, with clang thread-safety annotations (GUARDED_BY and friends come
// from absl/base/thread_annotations.h). A thin face on absl::Mutex; under ThreadSanitizer a face on
// std::mutex, because Debian's Abseil is not instrumented and a correct absl::Mutex reports false races.
#ifndef OCTET_BASE_MUTEX_H_
#define OCTET_BASE_MUTEX_H_

#include "absl/base/thread_annotations.h"
#include "absl/time/time.h"

#if defined(__SANITIZE_THREAD__)
#define OCTET_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define OCTET_TSAN 1
#endif
#endif

#ifdef OCTET_TSAN
#include <chrono>
#include <condition_variable>
#include <mutex>
#else
#include "absl/synchronization/mutex.h"
#endif

namespace octet {

class ABSL_LOCKABLE Mutex {
 public:
  Mutex() = default;
  Mutex(const Mutex&) = delete;
  Mutex& operator=(const Mutex&) = delete;

#ifdef OCTET_TSAN
  void Lock() ABSL_EXCLUSIVE_LOCK_FUNCTION() { mu_.lock(); }
  bool TryLock() ABSL_EXCLUSIVE_TRYLOCK_FUNCTION(true) { return mu_.try_lock(); }
  void Unlock() ABSL_UNLOCK_FUNCTION() { mu_.unlock(); }
#else
  void Lock() ABSL_EXCLUSIVE_LOCK_FUNCTION() { mu_.Lock(); }
  bool TryLock() ABSL_EXCLUSIVE_TRYLOCK_FUNCTION(true) { return mu_.TryLock(); }
  void Unlock() ABSL_UNLOCK_FUNCTION() { mu_.Unlock(); }
#endif

 private:
  friend class CondVar;
#ifdef OCTET_TSAN
  std::mutex mu_;
#else
  absl::Mutex mu_;
#endif
};

// Holds `mu` for its own lifetime.
class ABSL_SCOPED_LOCKABLE MutexLock {
 public:
  explicit MutexLock(Mutex* mu) ABSL_EXCLUSIVE_LOCK_FUNCTION(mu) : mu_(mu) { mu_->Lock(); }
  ~MutexLock() ABSL_UNLOCK_FUNCTION() { mu_->Unlock(); }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

 private:
  Mutex* const mu_;
};

// A condition variable. Waits may wake without reason: always loop over the condition.
class CondVar {
 public:
  // Releases `mu`, sleeps until signalled, takes `mu` again.
  void Wait(Mutex* mu) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu) {
#ifdef OCTET_TSAN
    std::unique_lock<std::mutex> lock(mu->mu_, std::adopt_lock);
    cv_.wait(lock);
    lock.release();
#else
    cv_.Wait(&mu->mu_);
#endif
  }

  // As Wait, but for at most `timeout`. True when the time ran out.
  bool WaitWithTimeout(Mutex* mu, absl::Duration timeout) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu) {
#ifdef OCTET_TSAN
    std::unique_lock<std::mutex> lock(mu->mu_, std::adopt_lock);
    const bool expired = cv_.wait_for(lock, absl::ToChronoNanoseconds(timeout)) == std::cv_status::timeout;
    lock.release();
    return expired;
#else
    return cv_.WaitWithTimeout(&mu->mu_, timeout);
#endif
  }

#ifdef OCTET_TSAN
  void Signal() { cv_.notify_one(); }
  void SignalAll() { cv_.notify_all(); }
#else
  void Signal() { cv_.Signal(); }
  void SignalAll() { cv_.SignalAll(); }
#endif

 private:
#ifdef OCTET_TSAN
  std::condition_variable cv_;
#else
  absl::CondVar cv_;
#endif
};

}  // namespace octet

#endif  // OCTET_BASE_MUTEX_H_
