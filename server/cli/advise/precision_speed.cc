#include "server/cli/advise/precision_speed.h"

#include <algorithm>

#include "base/status_macros.h"
#include "server/cli/bench_case.h"
#include "server/cli/bench_engine.h"

namespace octet::cli {
namespace {

// Texts as servers meet them, enough of them to keep every thread busy.
constexpr size_t kLength = 32, kBatch = 16;
constexpr double kSeconds = 0.3;

}  // namespace

absl::StatusOr<PrecisionSpeeds> MeasurePrecisionSpeeds(const std::string& directory, Isa isa, int num_threads) {
  PrecisionSpeeds speeds;
  for (const model::Precision precision : {model::Precision::kInt8, model::Precision::kBf16, model::Precision::kF32}) {
    BenchOptions options;
    options.model_directory = directory;
    options.precision = precision;
    options.isa = isa;
    options.num_threads = num_threads;
    auto engine = BenchEngine::Load(options, kLength * kBatch);
    if (!engine.ok() && precision != model::Precision::kInt8) continue;
    if (!engine.ok()) return engine.status();
    const size_t length = std::min<size_t>(kLength, (*engine)->model().info().max_tokens);
    ASSIGN_OR_RETURN(const CaseResult result, RunCase(**engine, length, kBatch, {.seconds = kSeconds}));
    speeds.model_version = (*engine)->model().info().version;
    const absl::string_view name = model::PrecisionName(precision);
    speeds.tokens_per_second[std::string(name.data(), name.size())] = result.tokens_per_second;
  }
  return speeds;
}

}  // namespace octet::cli
