#include "server/cli/bench_case.h"

#include <algorithm>
#include <numeric>
#include <random>

#include "absl/functional/function_ref.h"
#include "base/clock.h"
#include "base/status_macros.h"
#include "kernels/int8_peak.h"
#include "model/phase_times.h"

namespace octet::cli {
namespace {

using model::Phase;

constexpr size_t kMinRepetitions = 5;
constexpr int kPeakRuns = 5;

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

// Passes until `seconds` are over, at least `min_repetitions`: appends the milliseconds of each, without those of `use`, which gets
// the hidden states.
absl::Status Repeat(
    BenchEngine& engine, const OwnedBatch& input, double seconds, size_t min_repetitions, std::vector<double>* ms,
    absl::FunctionRef<void(MatrixView<const float>)> use = [](MatrixView<const float>) {}) {
  const Clock& clock = SteadyClock::Get();
  const MonotonicTime end = clock.Now() + absl::Seconds(seconds);
  for (size_t i = 0; i < min_repetitions || clock.Now() < end; ++i) {
    const MonotonicTime begin = clock.Now();
    ASSIGN_OR_RETURN(const auto states, engine.Forward(input));
    ms->push_back(absl::ToDoubleMilliseconds(clock.Now() - begin));
    use(states);
  }
  return absl::OkStatus();
}

// As Repeat, with the peak loop before each part of the passes, for the time of one: a clock that moves moves both.
absl::StatusOr<std::optional<double>> RepeatBesidePeak(BenchEngine& engine, const OwnedBatch& input, double seconds,
                                                       std::vector<double>* ms) {
  std::vector<double> one_pass;
  RETURN_IF_ERROR(Repeat(engine, input, 0, 1, &one_pass));
  const absl::Duration run = absl::Milliseconds(one_pass.front());
  std::optional<double> best;
  for (int i = 0; i < kPeakRuns; ++i) {
    const auto peak = kernels::MeasureInt8PeakOpsPerSecond(engine.model().info().isa, run, &engine.team());
    if (peak) best = std::max(best.value_or(0), *peak / 1e9);
    RETURN_IF_ERROR(Repeat(engine, input, seconds / kPeakRuns, kMinRepetitions / kPeakRuns, ms));
  }
  return best;
}

// Multiply-adds of one token in all layers' products of a phase; 0 where the phase is none.
double ProductWeights(const model::ModelInfo& info, Phase phase) {
  const double hidden = info.hidden_dim, intermediate = info.intermediate_dim;
  switch (phase) {
    case Phase::kQueryKeyValue:
      return info.num_layers * 3 * hidden * hidden;
    case Phase::kAttentionOutput:
      return info.num_layers * hidden * hidden;
    case Phase::kIntermediate:
    case Phase::kOutput:
      return info.num_layers * hidden * intermediate;
    default:
      return 0;
  }
}

absl::StatusOr<std::vector<PhaseTime>> RunProfile(BenchEngine& engine, const OwnedBatch& input, double seconds) {
  constexpr std::pair<Phase, const char*> kNames[] = {
      {Phase::kEmbed, "embed"},
      {Phase::kQuantize, "quantize"},
      {Phase::kQueryKeyValue, "product query_key_value"},
      {Phase::kAttentionOutput, "product attention_output"},
      {Phase::kIntermediate, "product intermediate"},
      {Phase::kOutput, "product output"},
      {Phase::kEpilogue, "epilogue"},
      {Phase::kActivation, "activation"},
      {Phase::kAttention, "attention"},
      {Phase::kNorm, "norm"},
      {Phase::kSynchronize, "synchronize"},
  };
  static_assert(std::size(kNames) == model::kNumPhases);
  engine.workspace().StartProfile();
  const uint64_t begin_ticks = __rdtsc();
  std::vector<double> ms;
  double pool_ms = 0;
  std::vector<float> vectors((input.starts.size() - 1) * engine.model().info().hidden_dim);
  RETURN_IF_ERROR(Repeat(engine, input, seconds, kMinRepetitions, &ms, [&](MatrixView<const float> states) {
    const MonotonicTime begin = SteadyClock::Get().Now();
    engine.model().head().Run(input.view(), states, /*workspace=*/nullptr, vectors);
    pool_ms += absl::ToDoubleMilliseconds(SteadyClock::Get().Now() - begin);
  }));
  const auto wall_ticks = static_cast<double>(__rdtsc() - begin_ticks);
  const double pass_ms = std::accumulate(ms.begin(), ms.end(), 0.0);
  const double passes = static_cast<double>(ms.size()), threads = engine.team().num_threads();
  const double ms_per_tick = (pass_ms + pool_ms) / wall_ticks / passes / threads;
  const model::PhaseTicks ticks = engine.workspace().Profile();
  std::vector<PhaseTime> phases;
  double accounted = 0;
  for (const auto& [phase, name] : kNames) {
    PhaseTime time{name, static_cast<double>(ticks[static_cast<size_t>(phase)]) * ms_per_tick, {}};
    const double weights = ProductWeights(engine.model().info(), phase);
    if (weights > 0) time.gops = 2 * weights * static_cast<double>(input.ids.size()) / time.ms / 1e6;
    accounted += time.ms;
    phases.push_back(time);
  }
  // Waking the team, and waiting for the last of it, happen outside the threads' own passes.
  phases.push_back({"start and end", pass_ms / passes - accounted, {}});
  phases.push_back({"pool", pool_ms / passes, {}});
  return phases;
}

}  // namespace

absl::StatusOr<CaseResult> RunCase(BenchEngine& engine, size_t length, size_t batch, const CaseOptions& options) {
  const OwnedBatch input = RandomBatch(length, batch, engine.model().info().vocab_size);
  for (int i = 0; i < 2; ++i) RETURN_IF_ERROR(engine.Forward(input).status());
  std::vector<double> ms;
  std::optional<double> peak_gops;
  if (options.peak) {
    ASSIGN_OR_RETURN(peak_gops, RepeatBesidePeak(engine, input, options.seconds, &ms));
  } else {
    RETURN_IF_ERROR(Repeat(engine, input, options.seconds, kMinRepetitions, &ms));
  }
  std::sort(ms.begin(), ms.end());
  const double median = ms[ms.size() / 2];
  const size_t num_tokens = input.ids.size();
  CaseResult result{.length = length,
                    .batch = batch,
                    .repetitions = ms.size(),
                    .min_ms = ms.front(),
                    .median_ms = median,
                    .p90_ms = ms[ms.size() * 9 / 10],
                    .tokens_per_second = static_cast<double>(num_tokens) / median * 1e3,
                    .gops = engine.LinearOps(num_tokens) / median / 1e6,
                    .peak_gops = peak_gops,
                    .phases = {}};
  if (options.profile) {
    ASSIGN_OR_RETURN(result.phases, RunProfile(engine, input, options.seconds));
  }
  return result;
}

}  // namespace octet::cli
