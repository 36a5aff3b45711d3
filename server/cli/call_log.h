// The log's lines about calls: those that failed and, if wanted, slow ones. What the client made up (texts, names of
// models, metadata) is in none of them. How many there are a second is bounded, for each code; what is left out is
// counted in the next line. Calls that are wrong by their client's doing are logged at level debug only. Fields:
// docs/tracing.md. Thread-safe.
#ifndef OCTET_SERVER_CLI_CALL_LOG_H_
#define OCTET_SERVER_CLI_CALL_LOG_H_

#include <cstddef>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "server/cli/line_limit.h"
#include "server/rpc/call_observer.h"

namespace octet::cli {

struct CallLogOptions {
  absl::Duration slow_call;  // zero: no lines about slow calls
  size_t max_lines_per_second = 10;
};

class CallLog final : public rpc::CallObserver {
 public:
  // `clock` must outlive it.
  CallLog(const CallLogOptions& options, const Clock* clock)
      : options_(options), limit_(options.max_lines_per_second, clock) {}

  bool WantsPhases() const override { return options_.slow_call > absl::ZeroDuration(); }
  // True: OnCallEnd must follow.
  bool Wants(rpc::CallKind kind, absl::string_view code, absl::Duration duration) override;
  void OnCallEnd(const rpc::CallOutcome& outcome) override;

 private:
  bool IsSlow(rpc::CallKind kind, absl::Duration duration) const;

  const CallLogOptions options_;
  LineLimit limit_;  // by code, "" for slow calls
};

}  // namespace octet::cli

#endif  // OCTET_SERVER_CLI_CALL_LOG_H_
