// The run behind `octet evaluate`: every variant answers the task's texts, one variant in memory at a time, f32 first.
#ifndef OCTET_SERVER_CLI_EVALUATE_EVALUATION_H_
#define OCTET_SERVER_CLI_EVALUATE_EVALUATION_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/cpu_isa.h"
#include "server/cli/evaluate/report.h"
#include "server/cli/evaluate/task.h"
#include "server/cli/progress.h"

namespace octet::cli {

struct EvaluationOptions {
  std::string model_directory;
  std::vector<std::string> variants;  // passed CheckVariantNames; not empty
  Isa isa = Isa::kScalar;
  int num_threads = 1;
};

enum class EvaluationStep { kLoading, kMeasuring };

// One result a variant, in the order given but with f32 first. A variant that this CPU cannot run is a result without a
// measurement, unless it is the only one. `task` is calibrated with f32's answers if it asks for that; then f32 must be
// among the variants. Else the error of the first variant that cannot be loaded, does not fit the task (both
// kLoading) or cannot be measured (kMeasuring); `failed_step` says which.
absl::StatusOr<std::vector<VariantResult>> RunEvaluation(const EvaluationOptions& options, Task* task,
                                                         Progress* progress, EvaluationStep* failed_step);

}  // namespace octet::cli

#endif  // OCTET_SERVER_CLI_EVALUATE_EVALUATION_H_
