// Whether the pipeline's threads still move. A thread beats when it takes an item and when it is done with
// it; one that has been on the same item for longer than the limit is stuck. Thread-safe.
#ifndef OCTET_SERVING_HEARTBEAT_H_
#define OCTET_SERVING_HEARTBEAT_H_

#include <atomic>
#include <cstdint>
#include <list>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/mutex.h"

namespace octet::serving {

// An idle thread of the pipeline looks around this often, so that even a lost wake-up heals by itself.
inline constexpr absl::Duration kIdleTick = absl::Seconds(1);

// One thread's beat. Begin and End only on that thread.
class Heartbeat {
 public:
  Heartbeat(std::string role, const Clock* clock) : role_(std::move(role)), clock_(clock) {}

  void Begin() { busy_since_ns_.store(absl::ToInt64Nanoseconds(clock_->Now()), std::memory_order_relaxed); }
  void End() { busy_since_ns_.store(kIdle, std::memory_order_relaxed); }

  const std::string& role() const { return role_; }
  std::optional<MonotonicTime> BusySince() const {
    const int64_t since = busy_since_ns_.load(std::memory_order_relaxed);
    if (since == kIdle) return std::nullopt;
    return absl::Nanoseconds(since);
  }

 private:
  static constexpr int64_t kIdle = INT64_MIN;
  const std::string role_;
  const Clock* const clock_;
  std::atomic<int64_t> busy_since_ns_{kIdle};
};

// Beats for as long as it lives.
class BusyScope {
 public:
  explicit BusyScope(Heartbeat* beat) : beat_(beat) { beat_->Begin(); }
  ~BusyScope() { beat_->End(); }
  BusyScope(const BusyScope&) = delete;
  BusyScope& operator=(const BusyScope&) = delete;

 private:
  Heartbeat* const beat_;
};

class Heartbeats {
 public:
  Heartbeats(const Clock* clock, absl::Duration limit) : clock_(clock), limit_(limit) {}

  // Valid as long as this object.
  Heartbeat* Add(absl::string_view role);
  // What is wrong, one line ("compute worker: busy for 12s, limit 10s"), or "".
  std::string Complaint() const;
  // The same for work that waits beside idle threads since `since` (a wake-up was lost).
  std::string ComplaintAboutWaiting(absl::string_view what, std::optional<MonotonicTime> since) const;

 private:
  const Clock* const clock_;
  const absl::Duration limit_;
  mutable Mutex mu_;
  std::list<Heartbeat> beats_ ABSL_GUARDED_BY(mu_);
};

}  // namespace octet::serving

#endif  // OCTET_SERVING_HEARTBEAT_H_
