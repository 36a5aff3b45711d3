// `octet bench --sweep`: one text of every length, and the lengths that stick out.
#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "absl/strings/str_format.h"
#include "base/status_macros.h"
#include "server/cli/bench.h"
#include "server/cli/bench_case.h"
#include "server/cli/bench_engine.h"

namespace octet::cli {
namespace {

constexpr double kSecondsPerCase = 0.02;
constexpr int kRounds = 2;       // of the whole sweep; the best median counts, other programs only slow down
constexpr int kSecondLooks = 5;  // at a length that sticks out, and at its neighbours
constexpr double kTolerance = 1.1;
constexpr size_t kMostTokens = 8192;  // longer texts are not swept

class Sweep {
 public:
  explicit Sweep(BenchEngine* engine)
      : engine_(engine),
        best_ms_(std::min<size_t>(engine->model().info().max_tokens, kMostTokens) + 1,
                 std::numeric_limits<double>::infinity()) {}

  size_t max_length() const { return best_ms_.size() - 1; }
  size_t num_timed() const {
    return static_cast<size_t>(
        std::count_if(best_ms_.begin(), best_ms_.end(), [](double ms) { return std::isfinite(ms); }));
  }
  double ms(size_t length) const { return best_ms_[length]; }
  double MsPerToken(size_t length) const { return best_ms_[length] / static_cast<double>(length); }

  absl::Status Measure(size_t length) {
    ASSIGN_OR_RETURN(const CaseResult result, RunCase(*engine_, length, 1, {.seconds = kSecondsPerCase}));
    best_ms_[length] = std::min(best_ms_[length], result.median_ms);
    return absl::OkStatus();
  }

  // Costs more per token than both its neighbours allow.
  bool SticksOut(size_t length) const {
    return length > 1 && length < max_length() && MsPerToken(length) > kTolerance * MsPerToken(length - 1) &&
           MsPerToken(length) > kTolerance * MsPerToken(length + 1);
  }

 private:
  BenchEngine* const engine_;
  std::vector<double> best_ms_;  // by length
};

}  // namespace

absl::Status RunBenchSweep(const BenchOptions& options, std::ostream& out) {
  ASSIGN_OR_RETURN(auto engine, BenchEngine::Load(options, kMostTokens));
  Sweep sweep(engine.get());
  for (int round = 0; round < kRounds; ++round) {
    for (size_t length = 1; length <= sweep.max_length(); ++length) RETURN_IF_ERROR(sweep.Measure(length));
  }
  size_t num_outliers = 0;
  for (size_t length = 1; length <= sweep.max_length(); ++length) {
    for (int look = 0; look < kSecondLooks && sweep.SticksOut(length); ++look) {
      for (const size_t near : {length - 1, length, length + 1}) RETURN_IF_ERROR(sweep.Measure(near));
    }
    if (!sweep.SticksOut(length)) continue;
    ++num_outliers;
    out << absl::StrFormat("%d tokens: %.3f ms, with one less %.3f ms, with one more %.3f ms\n", length,
                           sweep.ms(length), sweep.ms(length - 1), sweep.ms(length + 1));
  }
  out << absl::StrFormat(
      "one text of 1 to %d tokens, %d lengths timed: %d cost over %.0f %% more per token than both neighbours\n",
      sweep.max_length(), sweep.num_timed(), num_outliers, 100 * (kTolerance - 1));
  for (size_t length = 1; length <= sweep.max_length(); length *= 2) {
    out << absl::StrFormat("%6d tokens %9.3f ms %9.2f us a token\n", length, sweep.ms(length),
                           1e3 * sweep.MsPerToken(length));
  }
  return absl::OkStatus();
}

}  // namespace octet::cli
