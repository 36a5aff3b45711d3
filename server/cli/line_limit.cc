#include "server/cli/line_limit.h"

#include <utility>

namespace octet::cli {

bool LineLimit::Admit(absl::string_view name) {
  const MonotonicTime now = clock_->Now();
  MutexLock lock(&mu_);
  Window& window = windows_[std::string(name)];
  if (now - window.begin >= absl::Seconds(1)) {
    window.begin = now;
    window.num_lines = 0;
  }
  if (window.num_lines < max_lines_per_second_) {
    ++window.num_lines;
    return true;
  }
  ++window.num_left_out;
  return false;
}

uint64_t LineLimit::TakeLeftOut(absl::string_view name) {
  MutexLock lock(&mu_);
  return std::exchange(windows_[std::string(name)].num_left_out, 0);
}

}  // namespace octet::cli
