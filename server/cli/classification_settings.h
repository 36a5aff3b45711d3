// The `classification` section of a model's configuration, checked against the model's labels.
#ifndef OCTET_SERVER_CLI_CLASSIFICATION_SETTINGS_H_
#define OCTET_SERVER_CLI_CLASSIFICATION_SETTINGS_H_

#include "absl/status/statusor.h"
#include "model/predictions.h"
#include "model/text_model_config.h"
#include "octet/config/v1/config.pb.h"

namespace octet::cli {

// What `settings` make of a model that is `config`; defaults (every label, scored as the model says) where they
// say nothing. InvalidArgument "classification: ..." for a model with another task and, with the nearest label,
// for a threshold of an unknown one.
absl::StatusOr<model::PredictionOptions> PredictionsOf(const config::v1::Model& settings,
                                                       const model::TextModelConfig& config);

}  // namespace octet::cli

#endif  // OCTET_SERVER_CLI_CLASSIFICATION_SETTINGS_H_
