// One run of `octet quantize`: a float model directory and calibration texts to a quantized directory with its report.
#ifndef OCTET_SERVER_CLI_QUANTIZE_RUN_H_
#define OCTET_SERVER_CLI_QUANTIZE_RUN_H_

#include <string>

#include "model/quantize/mixed.h"
#include "model/quantize/technique.h"
#include "server/cli/calibration_file.h"

namespace octet::cli {

// Of --method mixed, unless told otherwise.
inline constexpr model::Fidelity kDefaultMixedLimit = {.cosine_mean = 0.9995, .cosine_min = 0.998};

struct QuantizeOptions {
  std::string model, out;
  CalibrationFile calibration;  // no path: none, for kDynamic and kSmooth only
  bool overwrite = false;
  model::TechniqueOptions technique;
  model::Fidelity limit = kDefaultMixedLimit;  // of Technique::kMixed
};

// Writes `out`, or nothing. Returns the exit code, after one line on stderr when it is not kExitOk: kExitConfig for
// `out` or the texts, kExitModel for the model, kExitFailure while quantizing.
int RunQuantize(const QuantizeOptions& options);

}  // namespace octet::cli

#endif  // OCTET_SERVER_CLI_QUANTIZE_RUN_H_
