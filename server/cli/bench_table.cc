// `octet bench`: latency and throughput by length and batch.
#include <algorithm>

#include "base/status_macros.h"
#include "kernels/int8_matmul.h"
#include "kernels/int8_peak.h"
#include "server/cli/bench.h"
#include "server/cli/bench_case.h"
#include "server/cli/bench_engine.h"
#include "server/cli/bench_report.h"

namespace octet::cli {
namespace {

BenchReport Describe(const BenchOptions& options, const BenchEngine& engine) {
  const model::ModelInfo& info = engine.model().info();
  return {.family = info.family,
          .num_layers = info.num_layers,
          .hidden_dim = info.hidden_dim,
          .num_heads = info.num_heads,
          .intermediate_dim = info.intermediate_dim,
          .precision = std::string(model::PrecisionName(info.precision)),
          .quantization = info.quantization,
          .isa = std::string(IsaName(info.isa)),
          .onednn_isa = kernels::OneDnnIsaName(),
          .threads = options.num_threads,
          .kernels = engine.model().encoder().implementation_names(),
          .peak_instructions = kernels::Int8PeakInstructions(info.isa),
          .cases = {}};
}

}  // namespace

absl::Status RunBenchTable(const BenchOptions& options, std::ostream& out) {
  std::optional<BenchBaseline> baseline;
  if (!options.compare_file.empty()) {
    ASSIGN_OR_RETURN(baseline, ReadBaseline(options.compare_file));
  }
  std::vector<size_t> batches = options.batches;
  if (batches.empty()) batches = {1, 8, 32};
  std::vector<size_t> lengths = options.lengths;
  if (lengths.empty()) lengths = {16, 32, 64, 128, 256, 512};
  const size_t most_tokens =
      *std::max_element(lengths.begin(), lengths.end()) * *std::max_element(batches.begin(), batches.end());
  ASSIGN_OR_RETURN(auto engine, BenchEngine::Load(options, most_tokens));
  const size_t limit = engine->model().info().max_tokens;
  if (options.lengths.empty()) std::erase_if(lengths, [limit](size_t length) { return length > limit; });

  BenchReport report = Describe(options, *engine);
  if (baseline) RETURN_IF_ERROR(CheckSameModel(*baseline, report));
  for (const size_t length : lengths) {
    for (const size_t batch : batches) {
      ASSIGN_OR_RETURN(CaseResult result,
                       RunCase(*engine, length, batch,
                               {.seconds = options.seconds_per_case, .peak = true, .profile = options.profile}));
      report.cases.push_back(std::move(result));
    }
  }
  if (options.json) {
    PrintJson(report, out);
  } else {
    PrintTable(report, baseline ? &*baseline : nullptr, out);
  }
  return absl::OkStatus();
}

}  // namespace octet::cli
