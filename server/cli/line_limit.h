// Bounds how many lines a second the log gets about each of a few things, and counts what is left out. Thread-safe.
#ifndef OCTET_SERVER_CLI_LINE_LIMIT_H_
#define OCTET_SERVER_CLI_LINE_LIMIT_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/mutex.h"

namespace octet::cli {

class LineLimit {
 public:
  // `clock` must outlive it.
  LineLimit(size_t max_lines_per_second, const Clock* clock)
      : max_lines_per_second_(max_lines_per_second), clock_(clock) {}

  // Whether there may be a line about it now. Names are kept: they must be of a bounded set.
  bool Admit(absl::string_view name);
  // How many lines were not admitted since it was last asked.
  uint64_t TakeLeftOut(absl::string_view name);

 private:
  struct Window {
    MonotonicTime begin = -absl::InfiniteDuration();
    size_t num_lines = 0;
    uint64_t num_left_out = 0;
  };

  const size_t max_lines_per_second_;
  const Clock* const clock_;
  Mutex mu_;
  std::map<std::string, Window> windows_ ABSL_GUARDED_BY(mu_);
};

}  // namespace octet::cli

#endif  // OCTET_SERVER_CLI_LINE_LIMIT_H_
