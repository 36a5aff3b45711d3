// One run of `octet quantize`: a float model directory and calibration texts to a quantized directory with its report.
#ifndef OCTET_SERVER_CLI_QUANTIZE_RUN_H_
#define OCTET_SERVER_CLI_QUANTIZE_RUN_H_

#include <string>

#include "absl/status/status.h"
#include "model/quantize/mixed.h"
#include "model/quantize/technique.h"

namespace octet::cli {

struct QuantizeOptions {
  std::string model, out;
  std::string calibration;  // file of texts; not needed for Technique::kDynamic
  bool is_json = false;     // lines are {"text": ...}
  size_t max_texts = 0;     // of the calibration file, the first ones; 0: all
  bool overwrite = false;
  model::TechniqueOptions technique;
  model::Fidelity limit;  // of Technique::kMixed
};

// Writes `out`, or nothing. InvalidArgument: the model or the texts; AlreadyExists: `out`.
absl::Status RunQuantize(const QuantizeOptions& options);

}  // namespace octet::cli

#endif  // OCTET_SERVER_CLI_QUANTIZE_RUN_H_
