// One measured case of `octet bench`: a batch of texts of one length, passed forward again and again.
#ifndef OCTET_SERVER_CLI_BENCH_CASE_H_
#define OCTET_SERVER_CLI_BENCH_CASE_H_

#include <cstddef>
#include <optional>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "server/cli/bench_engine.h"

namespace octet::cli {

// A phase's part of one pass and the pooling after it, which the times of a CaseResult are without: milliseconds of all
// threads divided by their number, so that the phases add up to wall-clock time. `gops` where the phase is a product: its
// operations over its own time.
struct PhaseTime {
  const char* name;
  double ms;
  std::optional<double> gops;
};

struct CaseResult {
  size_t length, batch;  // tokens of a text, texts
  size_t repetitions;
  double min_ms, median_ms, p90_ms;
  double tokens_per_second, gops;   // of the median; linear layers only
  std::optional<double> peak_gops;  // best of the runs of the int8 peak loop between the passes
  std::vector<PhaseTime> phases;    // of a mean pass; empty without profile
};

struct CaseOptions {
  double seconds;
  bool peak = false;  // nothing at level scalar
  bool profile = false;
};

// Random token ids, the same for the same length and batch.
absl::StatusOr<CaseResult> RunCase(BenchEngine& engine, size_t length, size_t batch, const CaseOptions& options);

}  // namespace octet::cli

#endif  // OCTET_SERVER_CLI_BENCH_CASE_H_
