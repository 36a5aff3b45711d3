// Engine benchmarks without a server: a table of latency and throughput by length and batch, and the
// request protocol of the peer benchmark (one JSON request file a line in, one JSON answer a line out).
#ifndef OCTET_SERVER_CLI_BENCH_H_
#define OCTET_SERVER_CLI_BENCH_H_

#include <cstdint>
#include <istream>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "base/cpu_isa.h"
#include "model/precision.h"
#include "model/quantize/technique.h"

namespace octet::cli {

struct BenchOptions {
  std::string model_directory;
  model::Precision precision = model::Precision::kInt8;
  model::Technique method = model::kTechniqueAtLoad;  // of int8 and a directory of floats
  Isa isa = Isa::kScalar;
  int num_threads = 1;
  // Of the table alone.
  std::vector<size_t> lengths;  // tokens of a text; empty: 16, 32, ... up to the model's limit
  std::vector<size_t> batches;  // texts; empty: 1, 8, 32
  double seconds_per_case = 0.5;
  bool profile = false;      // the phases of each case as well
  bool json = false;         // one object instead of the table
  std::string compare_file;  // an earlier object of the same model, for a column of ratios; may be empty
};

// Prints a line per case: median, p90, tokens/s, linear-layer GOP/s and their share of the int8 peak, which
// is measured between the passes (kernels/int8_peak.h). Needs config.json and weights only. InvalidArgument when
// compare_file is of another model.
absl::Status RunBenchTable(const BenchOptions& options, std::ostream& out);

// Times one text of every length and names those that cost over 10 % more per token than both neighbours.
absl::Status RunBenchSweep(const BenchOptions& options, std::ostream& out);

// Reads request paths from `in` until its end. A request that cannot be run is answered {"error": ...}; the
// Status is for what ends the program. Batches run one after another; no result is reused.
absl::Status RunBenchRequests(const BenchOptions& options, std::istream& in, std::ostream& out);

}  // namespace octet::cli

#endif  // OCTET_SERVER_CLI_BENCH_H_
