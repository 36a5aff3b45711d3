// What `octet bench` found out, as a table and as JSON, and an earlier run's JSON to compare with.
#ifndef OCTET_SERVER_CLI_BENCH_REPORT_H_
#define OCTET_SERVER_CLI_BENCH_REPORT_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/cli/bench_case.h"

namespace octet::cli {

struct BenchReport {
  std::string family;
  uint32_t num_layers = 0, hidden_dim = 0, num_heads = 0, intermediate_dim = 0;
  std::string precision, quantization;  // quantization: of int8, see model::ModelInfo
  std::string isa, onednn_isa;
  int threads = 1;
  std::vector<std::string> kernels;  // of the products
  std::string peak_instructions;     // of the int8 peak loop; empty at level scalar
  std::vector<CaseResult> cases;
};

// An earlier report, as far as it is compared.
struct BenchBaseline {
  std::string path;
  std::map<std::string, std::string> about;               // model and run, by the JSON's keys
  std::map<std::pair<size_t, size_t>, double> median_ms;  // by length and batch
};

// InvalidArgument for a file that is not a report of PrintJson; NotFound when it cannot be read.
absl::StatusOr<BenchBaseline> ReadBaseline(const std::string& path);

// InvalidArgument when the models' shapes differ; equally large models of other weights take equally long.
absl::Status CheckSameModel(const BenchBaseline& baseline, const BenchReport& report);

// `baseline` may be null. A case's column `before` is how many times longer it took then; what else differs between the
// runs than the program (precision, instruction set, threads) is named above the table.
void PrintTable(const BenchReport& report, const BenchBaseline* baseline, std::ostream& out);
void PrintJson(const BenchReport& report, std::ostream& out);

}  // namespace octet::cli

#endif  // OCTET_SERVER_CLI_BENCH_REPORT_H_
