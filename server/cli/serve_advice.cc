#include "server/cli/serve_advice.h"

#include <string>

#include "base/release_memory.h"
#include "server/cli/advise/advice_cache.h"
#include "server/cli/advise/startup_advice.h"
#include "spdlog/spdlog.h"

namespace octet::cli {
namespace {

void LogAdvice(const std::string& model, const PrecisionSpeeds& speeds, const Config& config) {
  const StartupAdvice advice = AdviceOf(speeds, config.engine().precision());
  spdlog::log(advice.is_warning ? spdlog::level::warn : spdlog::level::info, "advice: model {}: {}", model,
              advice.line);
}

}  // namespace

void LogMeasuredAdvice(const Config& config, const ServePlan& plan) {
  for (const PlannedModel& model : plan.models) {
    const auto speeds = MeasurePrecisionSpeeds(model.directory, plan.isa, plan.num_threads);
    if (speeds.ok()) {
      LogAdvice(model.name, *speeds, config);
    } else {
      spdlog::warn("advice: model {}: {}", model.name, std::string(speeds.status().message()));
    }
  }
  ReleaseStartupMemory();
}

void LogCachedAdvice(const Config& config, const ServePlan& plan, const serving::ModelRepository& repository) {
  for (const auto& served : repository.List()) {
    const auto speeds =
        ReadAdvice(config.advice().cache(), ThisMachine(plan.isa, plan.num_threads), served->model->info().version);
    if (!speeds.ok()) {
      spdlog::warn("advice: {}", std::string(speeds.status().message()));
    } else if (!speeds->has_value()) {
      spdlog::warn("advice: model {}: {} has no entry of it for this machine; octet advise MODEL --cache adds one",
                   served->name, config.advice().cache());
    } else {
      LogAdvice(served->name, **speeds, config);
    }
  }
}

}  // namespace octet::cli
