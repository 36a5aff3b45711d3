// The last calls that did not end OK, for the status page. Thread-safe.
#ifndef OCTET_SERVER_STATUS_RECENT_ERRORS_H_
#define OCTET_SERVER_STATUS_RECENT_ERRORS_H_

#include <deque>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/mutex.h"
#include "server/rpc/call_observer.h"

namespace octet::status {

struct RecentError {
  absl::Time at;
  std::string method, model, code, message;  // `message`: the client's, which has no text of a request
};

class RecentErrors final : public rpc::CallObserver {
 public:
  static constexpr size_t kKept = 20;

  bool WantsPhases() const override { return false; }
  bool Wants(rpc::CallKind, absl::string_view code, absl::Duration) override { return !code.empty() && code != "OK"; }
  void OnCallEnd(const rpc::CallOutcome& outcome) override;

  // The newest first.
  std::vector<RecentError> Get() const;

 private:
  mutable Mutex mu_;
  std::deque<RecentError> errors_ ABSL_GUARDED_BY(mu_);  // the newest first
};

}  // namespace octet::status

#endif  // OCTET_SERVER_STATUS_RECENT_ERRORS_H_
