// quantization_report.json: what was done to a model's weights, from what, and how close the result is to f32. Written
// by `octet quantize`; read again at load, where a gate may refuse a model by it.
#ifndef OCTET_MODEL_QUANTIZATION_REPORT_H_
#define OCTET_MODEL_QUANTIZATION_REPORT_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "model/model_directory.h"
#include "model/strict_json.h"

namespace octet::model {

inline constexpr char kQuantizationReportFile[] = "quantization_report.json";
inline constexpr char kQuantizationReportSchema[] = "octet.quantization_report/1";

struct QuantizationReport {
  std::string octet_version, isa;
  std::string method;           // "smooth", ...
  std::string source_version;   // ModelInfo::version of the floats
  std::string weights_version;  // and of the result: ties the report to the weights
  Json options = Json::object();
  // The texts that decided. Digest: SHA-256 of the file, hex; empty without a file.
  std::string calibration_sha256;
  uint64_t calibration_texts = 0, calibration_tokens = 0, calibration_truncated = 0;
  // Closeness to f32 on texts that decided nothing; without any, nothing is known (null in the file).
  uint64_t held_out_texts = 0;
  double cosine_mean = 1, cosine_min = 1;
  Json layers = Json::array();  // per linear layer: name, precision, smoothing, signal-to-noise
  Json curve = Json::array();   // mixed: fidelity and time by number of float layers
};

std::string ReportText(const QuantizationReport& report);

// What a configuration asks of a model's report; a default-constructed one asks nothing.
struct QuantizationGate {
  double min_cosine_mean = 0, min_cosine_min = 0;  // 0: any
  bool require_report = false;

  bool is_on() const { return require_report || min_cosine_mean > 0 || min_cosine_min > 0; }
};

// FailedPrecondition naming what is missing or short: no report, a report of other weights, a larger loss than allowed
// or none measured.
// InvalidArgument for a file that is no such report.
absl::Status CheckGate(const QuantizationGate& gate, const ModelDirectory& directory,
                       const std::string& weights_version);

}  // namespace octet::model

#endif  // OCTET_MODEL_QUANTIZATION_REPORT_H_
