#include "serving/heartbeat.h"

#include "absl/strings/str_cat.h"

namespace octet::serving {

Heartbeat* Heartbeats::Add(absl::string_view role) {
  MutexLock lock(&mu_);
  return &beats_.emplace_back(std::string(role.data(), role.size()), clock_);
}

std::string Heartbeats::Complaint() const {
  const MonotonicTime now = clock_->Now();
  MutexLock lock(&mu_);
  for (const Heartbeat& beat : beats_) {
    const auto since = beat.BusySince();
    if (since && now - *since > limit_) {
      return absl::StrCat(beat.role(), ": busy for ", absl::FormatDuration(now - *since), ", limit ",
                          absl::FormatDuration(limit_));
    }
  }
  return "";
}

std::string Heartbeats::ComplaintAboutWaiting(absl::string_view what, std::optional<MonotonicTime> since) const {
  const MonotonicTime now = clock_->Now();
  if (!since || now - *since <= limit_) return "";
  return absl::StrCat(what, ": waiting for ", absl::FormatDuration(now - *since), " beside idle threads, limit ",
                      absl::FormatDuration(limit_));
}

}  // namespace octet::serving
