#include "server/status/recent_errors.h"

#include <utility>

namespace octet::status {
namespace {

std::string Copy(absl::string_view text) { return std::string(text.data(), text.size()); }

}  // namespace

void RecentErrors::OnCallEnd(const rpc::CallOutcome& outcome) {
  RecentError error{.at = absl::Now(),
                    .method = Copy(outcome.method),
                    .model = Copy(outcome.model),
                    .code = Copy(outcome.code),
                    .message = Copy(outcome.status.message())};
  MutexLock lock(&mu_);
  errors_.push_front(std::move(error));
  if (errors_.size() > kKept) errors_.pop_back();
}

std::vector<RecentError> RecentErrors::Get() const {
  MutexLock lock(&mu_);
  return {errors_.begin(), errors_.end()};
}

}  // namespace octet::status
