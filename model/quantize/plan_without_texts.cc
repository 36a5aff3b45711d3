#include "model/quantize/plan_without_texts.h"

#include <utility>

#include "base/status_macros.h"
#include "model/encoder_config.h"
#include "model/model_directory.h"

namespace octet::model {

absl::StatusOr<std::shared_ptr<const QuantizationPlan>> PlanWithoutTexts(const std::string& directory_path,
                                                                         const TechniqueOptions& options) {
  ASSIGN_OR_RETURN(const auto directory, ModelDirectory::Open(directory_path));
  ASSIGN_OR_RETURN(const EncoderConfig config, ReadEncoderConfig(*directory));
  ASSIGN_OR_RETURN(const auto weights, Weights::Open(*directory, TensorNamesOf(config.family)));
  auto plan = std::make_shared<QuantizationPlan>();
  const absl::string_view technique = TechniqueName(options.technique);
  plan->technique = std::string(technique.data(), technique.size());
  for (size_t layer_idx = 0; layer_idx < config.num_layers; ++layer_idx) {
    ASSIGN_OR_RETURN(PlannedLayer layer, PlanLayerWithoutTexts(options, config, layer_idx, weights.get()));
    for (LinearPlan& linear : layer.linears) plan->linears.push_back({.input = std::move(linear.input)});
  }
  return plan;
}

}  // namespace octet::model
