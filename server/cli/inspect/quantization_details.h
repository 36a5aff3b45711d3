// What a directory's quantization_report.json says about its layers, for showing. Loading reads the same file for its
// gate only (model/quantization_report.h).
#ifndef OCTET_SERVER_CLI_INSPECT_QUANTIZATION_DETAILS_H_
#define OCTET_SERVER_CLI_INSPECT_QUANTIZATION_DETAILS_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "model/model_directory.h"

namespace octet::cli {

// A mixed model with so many layers in floats: model::CurvePoint.
struct MixedCurvePoint {
  uint64_t num_float = 0;
  double cosine_mean = 0, cosine_min = 0;
  double relative_time = 1;  // of all linear layers, to all in int8; above 0
  bool is_chosen = false;

  double relative_speed() const { return 1 / relative_time; }
};

struct LayerDetails {
  std::optional<double> smoothing_strength, sensitivity;
};

struct QuantizationDetails {
  std::string source_version;                  // of the floats; empty without a report
  std::map<std::string, LayerDetails> layers;  // by model::LinearName
  std::vector<MixedCurvePoint> curve;
};

// Everything empty for a directory without a report. InvalidArgument for a file that is none, or one of other weights
// than `weights_version`.
absl::StatusOr<QuantizationDetails> ReadQuantizationDetails(const model::ModelDirectory& directory,
                                                            const std::string& weights_version);

}  // namespace octet::cli

#endif  // OCTET_SERVER_CLI_INSPECT_QUANTIZATION_DETAILS_H_
