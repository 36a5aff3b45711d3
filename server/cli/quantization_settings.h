// The `quantization` section of a model's configuration, checked against what the directory holds.
#ifndef OCTET_SERVER_CLI_QUANTIZATION_SETTINGS_H_
#define OCTET_SERVER_CLI_QUANTIZATION_SETTINGS_H_

#include "absl/status/statusor.h"
#include "model/activation_range.h"
#include "model/encoder_config.h"
#include "model/precision.h"
#include "model/quantize/technique.h"
#include "octet/config/v1/config.pb.h"

namespace octet::cli {

struct QuantizationSettings {
  model::ActivationRange activation_range = model::ActivationRange::kPerToken;
  double momentum = model::kDefaultMomentum;
  model::Technique technique_at_load = model::kTechniqueAtLoad;  // of a directory of floats
};

// InvalidArgument "quantization.<key>: ..." for a method that the directory was not made with or that needs texts,
// answers that depend on history without leave, a momentum outside [0, 1), and any choice in another precision than
// int8.
absl::StatusOr<QuantizationSettings> QuantizationOf(const config::v1::Quantization& settings,
                                                    const model::EncoderConfig& config, model::Precision precision);

}  // namespace octet::cli

#endif  // OCTET_SERVER_CLI_QUANTIZATION_SETTINGS_H_
