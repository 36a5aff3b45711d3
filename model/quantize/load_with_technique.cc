#include "model/quantize/load_with_technique.h"

#include <utility>
#include <vector>

#include "base/check.h"
#include "base/status_macros.h"
#include "model/encoder_config.h"
#include "model/linear_load.h"
#include "model/model_directory.h"
#include "model/quantize/probe_rows.h"
#include "model/quantize/smoothing.h"
#include "model/weights.h"

namespace octet::model {

absl::StatusOr<std::shared_ptr<const QuantizationPlan>> PlanWithoutTexts(const std::string& directory_path,
                                                                         const TextModelOptions& options) {
  ASSIGN_OR_RETURN(const std::vector<std::vector<float>> probe_rows, ProbeRows(directory_path, options));
  ASSIGN_OR_RETURN(const auto directory, ModelDirectory::Open(directory_path));
  ASSIGN_OR_RETURN(const EncoderConfig config, ReadEncoderConfig(*directory));
  ASSIGN_OR_RETURN(const auto weights, Weights::Open(*directory, TensorNamesOf(config.family)));
  auto plan = std::make_shared<QuantizationPlan>();
  const absl::string_view technique = TechniqueName(Technique::kSmooth);
  plan->technique = std::string(technique.data(), technique.size());
  plan->linears.resize(config.num_layers * kLinearsPerLayer);
  for (size_t linear_idx = 0; linear_idx < plan->linears.size(); ++linear_idx) {
    if (probe_rows[linear_idx].empty()) continue;
    ASSIGN_OR_RETURN(const OwnedLinear linear, ReadOwnedLinear(config, linear_idx, weights.get()));
    plan->linears[linear_idx].input.factors = ChooseSmoothingByRows(probe_rows[linear_idx], linear).factors;
  }
  RETURN_IF_ERROR(weights->Finish().status());
  return plan;
}

absl::StatusOr<std::shared_ptr<const TextModel>> LoadWithTechnique(const std::string& directory_path,
                                                                   Technique technique, TextModelOptions options) {
  OCTET_CHECK(technique == Technique::kDynamic || technique == Technique::kSmooth);
  if (technique == Technique::kSmooth && options.precision == Precision::kInt8) {
    ASSIGN_OR_RETURN(const auto directory, ModelDirectory::Open(directory_path));
    ASSIGN_OR_RETURN(const EncoderConfig config, ReadEncoderConfig(*directory));
    if (!config.quantization) {
      ASSIGN_OR_RETURN(options.plan, PlanWithoutTexts(directory_path, options));
    }
  }
  return TextModel::Load(directory_path, options);
}

}  // namespace octet::model
