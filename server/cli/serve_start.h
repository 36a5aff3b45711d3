// What `octet serve` settles before it opens a port: threads, instruction set, the memory that all parts
// may take together, and the loaded models. Refusals carry the exit code.
#ifndef OCTET_SERVER_CLI_SERVE_START_H_
#define OCTET_SERVER_CLI_SERVE_START_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/container_limits.h"
#include "base/cpu_isa.h"
#include "model/encoder.h"
#include "model/predictions.h"
#include "model/quantization_report.h"
#include "model/task.h"
#include "model/text_model.h"
#include "server/cli/config.h"
#include "server/cli/quantization_settings.h"
#include "server/cli/serve_shadow.h"
#include "server/cli/tracing_settings.h"
#include "serving/model_repository.h"
#include "serving/pipeline.h"

namespace octet::cli {

struct PlannedModel {
  std::string name, directory;
  model::Task task = model::Task::kEmbedding;
  uint32_t max_tokens = 0;
  size_t output_dim = 0;    // values of a text's answer
  model::MemoryUse memory;  // arena_bytes: of one workspace
  uint64_t f32_bytes = 0;   // weights, embeddings and arena in f32, for advice; 0 of a directory without floats
  model::QuantizationGate gate;
  // Of a classification model; or why the configuration does not fit the model.
  absl::StatusOr<model::PredictionOptions> predictions = model::PredictionOptions();
  absl::StatusOr<QuantizationSettings> quantization = QuantizationSettings();  // or why it does not fit
  // Likewise; nothing when the model has no shadow.
  absl::StatusOr<std::optional<PlannedShadow>> shadow = std::nullopt;
};

// Bytes at the worst moment, by what holds them.
struct MemoryBudget {
  uint64_t weight_bytes = 0, embedding_bytes = 0, arena_bytes = 0;
  uint64_t queue_bytes = 0;       // all queues full
  uint64_t connection_bytes = 0;  // the transport's quota
  uint64_t process_bytes = 0;     // code, tokenizers, threads, metrics
  // What measuring for advice needs beyond the place of weights, embeddings and arenas, which is still empty then.
  uint64_t advice_bytes = 0;
  uint64_t tracing_bytes = 0;  // spans waiting to be sent
  uint64_t total() const {
    return weight_bytes + embedding_bytes + arena_bytes + queue_bytes + connection_bytes + process_bytes +
           advice_bytes + tracing_bytes;
  }
};
std::string FormatBudget(const MemoryBudget& budget);  // "weights 11 MiB + ... = 300 MiB"

struct ServePlan {
  int num_threads = 1, num_tokenizer_threads = 1;
  std::optional<double> cpu_quota;  // CPUs; nothing if the process may use all that it can be on
  Isa isa = Isa::kScalar;
  model::Precision precision = model::Precision::kInt8;
  std::vector<PlannedModel> models;
  std::optional<TracingSettings> tracing;  // nothing: off
  MemoryBudget budget;
  std::vector<std::string> warnings;
};

// A start that is refused: what --check-config and serve print, one line each.
struct Refusal {
  int exit_code = 0;  // 0: none
  std::vector<std::string> lines;
};

// Reads shapes, not weights: takes milliseconds. Refuses an instruction set or precision that this machine
// lacks (C8), a batch smaller than a model's longest text (C2), and a budget above 90 % of the container's
// memory limit, with the arithmetic: kExitConfig when it would fit without the queues (C3), kExitModel
// otherwise (F26).
Refusal PlanServing(const Config& config, const ContainerLimits& limits, ServePlan* plan);

// The pipeline's options of this configuration and plan.
serving::PipelineOptions PipelineOptionsOf(const Config& config, const ServePlan& plan);

// Raises the soft limit of open files to the hard one; a warning line when it stays below what 4096
// connections need, else "".
std::string RaiseOpenFilesLimit();

// Loads every model of the plan into `repository`, with progress on stderr.
Refusal LoadModels(const Config& config, const ServePlan& plan, const ContainerLimits& limits,
                   serving::ModelRepository* repository);

}  // namespace octet::cli

#endif  // OCTET_SERVER_CLI_SERVE_START_H_
