// The `shadow` section of a model's configuration: whether the model can have one, what it takes, and loading what it
// compares with.
#ifndef OCTET_SERVER_CLI_SERVE_SHADOW_H_
#define OCTET_SERVER_CLI_SERVE_SHADOW_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "model/encoder.h"
#include "model/memory_budget.h"
#include "model/model_directory.h"
#include "model/text_model.h"
#include "model/text_model_config.h"
#include "octet/config/v1/config.pb.h"
#include "serving/model_repository.h"

namespace octet::cli {

struct PlannedShadow {
  std::string directory;
  size_t max_batch_tokens = 0;     // that the reference is loaded for
  model::MemoryUse memory;         // of the reference; arena_bytes: of its one workspace
  uint64_t queue_bytes = 0;        // when it is full
  serving::ShadowOptions options;  // without the reference
};

// Nothing when the section asks for none. `directory`, `served` and `options`: of the model itself. Reads shapes, not
// weights. InvalidArgument or NotFound "shadow: ..." for a model that is served in f32, whose floats are nowhere, or
// for a shadow.directory that holds another model.
absl::StatusOr<std::optional<PlannedShadow>> PlanShadow(const config::v1::Model& model,
                                                        const model::ModelDirectory& directory,
                                                        const model::TextModelConfig& served,
                                                        const model::EncoderOptions& options);

// With a null reference when nothing is planned. `options`: as the model itself is loaded. Errors of TextModel::Load with
// "shadow: " before them.
absl::StatusOr<serving::ShadowOptions> LoadShadow(const std::optional<PlannedShadow>& planned,
                                                  model::TextModelOptions options);

}  // namespace octet::cli

#endif  // OCTET_SERVER_CLI_SERVE_SHADOW_H_
