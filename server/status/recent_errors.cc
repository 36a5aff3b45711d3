#include "server/status/recent_errors.h"

#include <utility>

namespace octet::status {
void RecentErrors::OnCallEnd(const rpc::CallOutcome& outcome) {
  RecentError error{.at = absl::Now(),
                    .method = std::string(outcome.method),
                    .model = std::string(outcome.model),
                    .code = std::string(outcome.code),
                    .message = std::string(outcome.status.message())};
  MutexLock lock(&mu_);
  errors_.push_front(std::move(error));
  if (errors_.size() > kKept) errors_.pop_back();
}

std::vector<RecentError> RecentErrors::Get() const {
  MutexLock lock(&mu_);
  return {errors_.begin(), errors_.end()};
}

}  // namespace octet::status
