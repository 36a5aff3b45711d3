#include "server/cli/bench_engine.h"

#include <algorithm>

#include "base/status_macros.h"
#include "model/encoder_config.h"
#include "model/model_directory.h"
#include "model/quantize/load_with_technique.h"

namespace octet::cli {

absl::StatusOr<std::unique_ptr<BenchEngine>> BenchEngine::Load(const BenchOptions& options, size_t max_batch_tokens) {
  ASSIGN_OR_RETURN(const auto directory, model::ModelDirectory::Open(options.model_directory));
  ASSIGN_OR_RETURN(const model::EncoderConfig config, model::ReadEncoderConfig(*directory));
  std::unique_ptr<BenchEngine> engine(new BenchEngine(options.num_threads));
  ASSIGN_OR_RETURN(engine->model_, model::LoadWithTechnique(
                                       options.model_directory, options.method,
                                       {.precision = options.precision,
                                        .isa = options.isa,
                                        .max_batch_tokens = std::max<size_t>(max_batch_tokens, config.max_tokens()),
                                        .num_threads = options.num_threads,
                                        .needs_text = false}));
  engine->workspace_ = engine->model_->NewWorkspace(&engine->team_);
  return engine;
}

double BenchEngine::LinearOps(size_t num_tokens) const {
  const model::ModelInfo& info = model_->info();
  const double hidden = info.hidden_dim, intermediate = info.intermediate_dim;
  const double weights = info.num_layers * (4 * hidden * hidden + 2 * hidden * intermediate);
  return 2 * weights * static_cast<double>(num_tokens);
}

}  // namespace octet::cli
