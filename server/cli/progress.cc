#include "server/cli/progress.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace octet::cli {
namespace {

constexpr int kBarWidth = 24;

std::string TimeLeft(absl::Duration elapsed, double share) {
  if (share <= 0.01 || share >= 1) return "";
  const int64_t seconds = absl::ToInt64Seconds(elapsed * ((1 - share) / share));
  return absl::StrFormat(", %d:%02d left", seconds / 60, seconds % 60);
}

void WriteAll(int fd, absl::string_view text) {
  // Progress is advice: what a closed or full stderr does not take is lost.
  [[maybe_unused]] const ssize_t written = write(fd, text.data(), text.size());
}

}  // namespace

Progress::Progress(int fd, const ProgressOptions& options, const Clock* clock)
    : fd_(fd), options_(options), clock_(clock), last_draw_(clock->Now()), start_(clock->Now()) {}

Progress::~Progress() { Clear(); }

void Progress::Update(absl::string_view phase, uint64_t done, uint64_t total, absl::string_view note) {
  const MonotonicTime now = clock_->Now();
  if (now - last_draw_ < (options_.is_terminal ? options_.terminal_interval : options_.line_interval)) return;
  last_draw_ = now;
  const double share = total == 0 ? 0 : std::min(1.0, static_cast<double>(done) / static_cast<double>(total));
  std::string text(phase);
  if (total != 0) {
    if (options_.is_terminal) {
      const int filled = static_cast<int>(share * kBarWidth);
      absl::StrAppend(&text, " [", std::string(filled, '#'), std::string(kBarWidth - filled, '.'), "]");
    }
    absl::StrAppend(&text, absl::StrFormat(" %3.0f%%", share * 100), TimeLeft(now - start_, share));
  }
  if (!note.empty()) absl::StrAppend(&text, " ", note);
  WriteAll(fd_, options_.is_terminal ? absl::StrCat("\r\x1b[K", text) : absl::StrCat(text, "\n"));
  drawn_ = options_.is_terminal;
}

void Progress::Clear() {
  if (drawn_) WriteAll(fd_, "\r\x1b[K");
  drawn_ = false;
}

bool StderrIsTerminal() {
  const char* term = std::getenv("TERM");
  return isatty(STDERR_FILENO) == 1 && term != nullptr && absl::string_view(term) != "dumb";
}

}  // namespace octet::cli
