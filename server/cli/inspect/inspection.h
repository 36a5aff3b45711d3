// What `octet inspect` found out, apart from how it is written: inspect_table.h (terminal), inspect_json.h and
// inspect_html.h. Values are those that a layer's product sees: weights and inputs after the input factors, if the
// layer has any.
#ifndef OCTET_SERVER_CLI_INSPECT_INSPECTION_H_
#define OCTET_SERVER_CLI_INSPECT_INSPECTION_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "kernels/linear.h"
#include "server/cli/calibration_file.h"
#include "server/cli/evaluate/report.h"
#include "server/cli/inspect/quantization_details.h"
#include "server/cli/inspect/value_statistics.h"

namespace octet::cli {

struct LinearInspection {
  std::string name;  // model::LinearName
  uint64_t in_dim = 0, out_dim = 0;
  kernels::LinearKind kind = kernels::LinearKind::kInt8;
  // Of kInt8.
  kernels::RowRange range = kernels::RowRange::kAsymmetric;
  bool has_factors = false;
  std::optional<double> smoothing_strength;  // when the quantization report says it

  ValueInspection weights;
  std::optional<ValueInspection> inputs;            // with calibration
  std::optional<double> output_signal_to_noise_db;  // with calibration and floats, and when there is noise
  std::optional<double> output_cosine;              // mean, to f32; with calibration and floats
  std::optional<double> reported_sensitivity;       // 1 - the model's mean cosine with only this one quantized
  uint64_t bytes = 0;                               // that the engine keeps
  uint64_t f32_bytes = 0;                           // that it would keep in f32

  // The reported one, else 1 - output_cosine.
  std::optional<double> sensitivity() const {
    if (reported_sensitivity.has_value() || !output_cosine.has_value()) return reported_sensitivity;
    return 1 - *output_cosine;
  }
};

struct Inspection {
  std::string octet_version, octet_commit;
  std::string isa;  // that computed
  std::string model_name, model_version;
  std::string method;       // model::ModelInfo::quantization
  bool has_floats = false;  // the weights before rounding are known
  // Of --floats; empty without it.
  std::string floats_name, floats_version;
  // Of --calibration; nothing without it.
  std::string calibration_name;
  std::optional<CalibrationSummary> calibration;
  std::vector<LinearInspection> linears;
  std::vector<MixedCurvePoint> curve;  // of a mixed model; else empty
  std::vector<Report> reports;         // of `octet evaluate`, given by --report
};

}  // namespace octet::cli

#endif  // OCTET_SERVER_CLI_INSPECT_INSPECTION_H_
