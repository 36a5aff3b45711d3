// Progress of a long task on stderr: a bar that is redrawn in place on a terminal and removed at the end;
// otherwise a plain line every few seconds. Not thread-safe.
#ifndef OCTET_SERVER_CLI_PROGRESS_H_
#define OCTET_SERVER_CLI_PROGRESS_H_

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "base/clock.h"

namespace octet::cli {

struct ProgressOptions {
  bool is_terminal = false;
  absl::Duration terminal_interval = absl::Milliseconds(100);
  absl::Duration line_interval = absl::Seconds(5);
};

class Progress {
 public:
  // `clock` must outlive it. Writes to file descriptor `fd`.
  Progress(int fd, const ProgressOptions& options, const Clock* clock);
  ~Progress();  // clears the bar

  // `total` 0: not known. `note` is put at the end ("1234 texts, 560/s"). Draws at most once per interval.
  void Update(absl::string_view phase, uint64_t done, uint64_t total, absl::string_view note);
  // Removes the bar, so that other lines can be written.
  void Clear();

 private:
  const int fd_;
  const ProgressOptions options_;
  const Clock* const clock_;
  MonotonicTime last_draw_;
  MonotonicTime start_;
  bool drawn_ = false;
};

// True when stderr is a terminal that can redraw a line.
bool StderrIsTerminal();

}  // namespace octet::cli

#endif  // OCTET_SERVER_CLI_PROGRESS_H_
