// `octet bench`: latency and throughput by length and batch.
#include <algorithm>
#include <nlohmann/json.hpp>
#include <random>

#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "base/clock.h"
#include "base/status_macros.h"
#include "kernels/int8_matmul.h"
#include "kernels/int8_peak.h"
#include "server/cli/bench.h"
#include "server/cli/bench_engine.h"

namespace octet::cli {
namespace {

struct CaseResult {
  size_t length, batch;
  int repetitions;
  double median_ms, p90_ms;
  double tokens_per_second, gops;  // of the median
};

OwnedBatch RandomBatch(size_t length, size_t batch, uint32_t vocab_size) {
  std::mt19937 random(length * 1000 + batch);
  std::uniform_int_distribution<int32_t> id(0, static_cast<int32_t>(vocab_size) - 1);
  OwnedBatch owned;
  std::vector<int32_t> text(length);
  for (size_t t = 0; t < batch; ++t) {
    for (int32_t& token : text) token = id(random);
    owned.Add(text);
  }
  return owned;
}

absl::StatusOr<CaseResult> RunCase(BenchEngine& engine, size_t length, size_t batch, double seconds) {
  const OwnedBatch input = RandomBatch(length, batch, engine.model().info().vocab_size);
  const Clock& clock = SteadyClock::Get();
  for (int i = 0; i < 2; ++i) RETURN_IF_ERROR(engine.Forward(input).status());
  std::vector<double> ms;
  const MonotonicTime end = clock.Now() + absl::Seconds(seconds);
  constexpr size_t kMinRepetitions = 5;
  while (ms.size() < kMinRepetitions || clock.Now() < end) {
    const MonotonicTime begin = clock.Now();
    RETURN_IF_ERROR(engine.Forward(input).status());
    ms.push_back(absl::ToDoubleMilliseconds(clock.Now() - begin));
  }
  std::sort(ms.begin(), ms.end());
  const double median = ms[ms.size() / 2];
  const size_t num_tokens = input.ids.size();
  return CaseResult{.length = length, .batch = batch, .repetitions = static_cast<int>(ms.size()),
                    .median_ms = median, .p90_ms = ms[ms.size() * 9 / 10],
                    .tokens_per_second = static_cast<double>(num_tokens) / median * 1e3,
                    .gops = engine.LinearOps(num_tokens) / median / 1e6};
}

void PrintTable(const BenchOptions& options, const BenchEngine& engine, std::optional<double> peak_gops,
                const std::vector<CaseResult>& results, std::ostream& out) {
  const model::ModelInfo& info = engine.model().info();
  out << absl::StrFormat("%s, %d layers, hidden %d; precision %s, instruction set %s, %d threads\nkernels: %s\n",
                         info.family, info.num_layers, info.hidden_dim,
                         std::string(model::PrecisionName(info.precision)), std::string(IsaName(info.isa)),
                         options.num_threads, absl::StrJoin(engine.model().encoder().implementation_names(), "; "));
  if (peak_gops) {
    out << absl::StrFormat("int8 peak of the vector units (register-only %s): %.0f GOP/s\n",
                           kernels::Int8PeakInstructions(options.isa), *peak_gops);
  }
  out << "length batch   median ms      p90 ms    tokens/s   GOP/s   of peak\n";
  for (const CaseResult& r : results) {
    out << absl::StrFormat("%6d %5d %11.3f %11.3f %11.0f %7.0f   %s\n", r.length, r.batch, r.median_ms, r.p90_ms,
                           r.tokens_per_second, r.gops,
                           peak_gops ? absl::StrFormat("%5.1f %%", 100 * r.gops / *peak_gops) : "-");
  }
}

void PrintJson(const BenchOptions& options, const BenchEngine& engine, std::optional<double> peak_gops,
               const std::vector<CaseResult>& results, std::ostream& out) {
  const model::ModelInfo& info = engine.model().info();
  nlohmann::json cases = nlohmann::json::array();
  for (const CaseResult& r : results) {
    cases.push_back({{"length", r.length}, {"batch", r.batch}, {"repetitions", r.repetitions},
                     {"median_ms", r.median_ms}, {"p90_ms", r.p90_ms},
                     {"tokens_per_second", r.tokens_per_second}, {"linear_gops", r.gops}});
  }
  nlohmann::json root = {{"precision", std::string(model::PrecisionName(info.precision))},
                         {"isa", std::string(IsaName(info.isa))},
                         {"onednn_isa", kernels::OneDnnIsaName()},
                         {"kernels", engine.model().encoder().implementation_names()},
                         {"threads", options.num_threads},
                         {"cases", cases}};
  if (peak_gops) root["int8_peak_gops"] = *peak_gops;
  out << root.dump(2) << "\n";
}

}  // namespace

absl::Status RunBenchTable(const BenchOptions& options, std::ostream& out) {
  std::vector<size_t> batches = options.batches;
  if (batches.empty()) batches = {1, 8, 32};
  std::vector<size_t> lengths = options.lengths;
  if (lengths.empty()) lengths = {16, 32, 64, 128, 256, 512};
  const size_t most_tokens = *std::max_element(lengths.begin(), lengths.end()) *
                             *std::max_element(batches.begin(), batches.end());
  ASSIGN_OR_RETURN(auto engine, BenchEngine::Load(options, most_tokens));
  const size_t limit = engine->model().info().max_tokens;
  if (options.lengths.empty()) std::erase_if(lengths, [limit](size_t length) { return length > limit; });

  std::optional<double> peak_gops;
  std::vector<CaseResult> results;
  for (const size_t length : lengths) {
    for (const size_t batch : batches) {
      // Between the cases, and the best of all: a machine that slows down must not flatter the shares.
      const auto peak = kernels::MeasureInt8PeakOpsPerSecond(options.isa, &engine->team());
      if (peak) peak_gops = std::max(peak_gops.value_or(0), *peak / 1e9);
      ASSIGN_OR_RETURN(CaseResult result, RunCase(*engine, length, batch, options.seconds_per_case));
      results.push_back(result);
    }
  }
  (options.json ? PrintJson : PrintTable)(options, *engine, peak_gops, results, out);
  return absl::OkStatus();
}

}  // namespace octet::cli
