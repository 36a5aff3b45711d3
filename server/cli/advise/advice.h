// Which of a model's measured variants to serve, and why: the decision of `octet advise`, apart from measuring and
// printing. Pure function.
#ifndef OCTET_SERVER_CLI_ADVISE_ADVICE_H_
#define OCTET_SERVER_CLI_ADVISE_ADVICE_H_

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "server/cli/advise/precision_speed.h"
#include "server/cli/evaluate/report.h"

namespace octet::cli {

// What the user has besides the model.
struct AdviceInputs {
  double max_drop = 0.005;  // of the main metric, a share
  bool has_labels = false;  // else the metric is closeness to f32
  bool has_calibration = false;
  bool can_train = false;  // labelled training data and a way to train
};

struct Advice {
  std::string variant;               // to serve
  std::vector<std::string> reasons;  // a line for each variant, in the order measured
  std::vector<std::string> next;     // what could be tried that was not; may be empty
};

// Speeds nearer than this are the same: a machine's noise.
inline constexpr double kSpeedNoise = 0.05;

// The fastest variant whose main metric is at most max_drop below f32's; among those as fast as it, the one with the
// least drop, then the earliest. `results` has f32, measured; others may not have run.
Advice ChooseVariant(const std::vector<VariantResult>& results, const AdviceInputs& inputs);

// Without a single text to compute: the fastest precision, int8 among equals. `speeds` has f32 and int8.
Advice ChooseBySpeed(const PrecisionSpeeds& speeds, const AdviceInputs& inputs);

}  // namespace octet::cli

#endif  // OCTET_SERVER_CLI_ADVISE_ADVICE_H_
