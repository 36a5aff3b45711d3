// The log's lines about calls: those that failed and, if wanted, slow ones. What the client made up (texts, names of
// models, metadata) is in none of them. How many there are a second is bounded, for each code; what is left out is
// counted in the next line. Calls that are wrong by their client's doing are logged at level debug only. Fields:
// docs/tracing.md. Thread-safe.
#ifndef OCTET_SERVER_CLI_CALL_LOG_H_
#define OCTET_SERVER_CLI_CALL_LOG_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "server/rpc/call_observer.h"

namespace octet::cli {

struct CallLogOptions {
  absl::Duration slow_call;  // zero: no lines about slow calls
  size_t max_lines_per_second = 10;
};

class CallLog final : public rpc::CallObserver {
 public:
  // `clock` must outlive it.
  CallLog(const CallLogOptions& options, const Clock* clock) : options_(options), clock_(clock) {}

  bool WantsPhases() const override { return options_.slow_call > absl::ZeroDuration(); }
  // True: OnCallEnd must follow.
  bool Wants(rpc::CallKind kind, absl::string_view code, absl::Duration duration) override;
  void OnCallEnd(const rpc::CallOutcome& outcome) override;

 private:
  // Lines about one code, or about slow calls.
  struct Window {
    MonotonicTime begin = -absl::InfiniteDuration();
    size_t num_lines = 0;
    uint64_t num_left_out = 0;  // since the last line
  };

  bool IsSlow(rpc::CallKind kind, absl::Duration duration) const;
  bool Admit(absl::string_view name);
  uint64_t TakeLeftOut(absl::string_view name);

  const CallLogOptions options_;
  const Clock* const clock_;
  Mutex mu_;
  std::map<std::string, Window> windows_ ABSL_GUARDED_BY(mu_);  // by code, "" for slow calls: 18 at most
};

}  // namespace octet::cli

#endif  // OCTET_SERVER_CLI_CALL_LOG_H_
