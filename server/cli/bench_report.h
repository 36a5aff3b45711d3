// What `octet bench` found out, as a table and as JSON, and an earlier run's JSON to compare with.
#ifndef OCTET_SERVER_CLI_BENCH_REPORT_H_
#define OCTET_SERVER_CLI_BENCH_REPORT_H_

#include <cstddef>
#include <map>
#include <optional>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "server/cli/bench_case.h"

namespace octet::cli {

struct BenchReport {
  std::string family, precision, isa, onednn_isa;
  uint32_t num_layers = 0, hidden_dim = 0;
  int threads = 1;
  std::vector<std::string> kernels;  // of the products
  std::string peak_instructions;     // of the int8 peak loop
  std::vector<CaseResult> cases;
};

// An earlier report, as far as it is compared.
struct BenchBaseline {
  std::string description;                                // precision, instruction set, threads
  std::map<std::pair<size_t, size_t>, double> median_ms;  // by length and batch
};

// InvalidArgument for a file that is not a report of PrintJson; NotFound when it cannot be read.
absl::StatusOr<BenchBaseline> ReadBaseline(const std::string& path);

// `baseline` may be null. A case's column `before` is how many times longer it took then.
void PrintTable(const BenchReport& report, const BenchBaseline* baseline, std::ostream& out);
void PrintJson(const BenchReport& report, std::ostream& out);

}  // namespace octet::cli

#endif  // OCTET_SERVER_CLI_BENCH_REPORT_H_
