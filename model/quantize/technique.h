// Quantization techniques: from a float model and calibration texts to a plan for its linear layers, one encoder layer
// at a time. What each is and costs: docs/quantization.md.
#ifndef OCTET_MODEL_QUANTIZE_TECHNIQUE_H_
#define OCTET_MODEL_QUANTIZE_TECHNIQUE_H_

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/cpu_isa.h"
#include "model/encoder_config.h"
#include "model/linear_plan.h"
#include "model/quantize/calibration.h"
#include "model/quantize/range_observer.h"
#include "model/weights.h"

namespace octet::model {

enum class Technique {
  kDynamic,  // ranges of each token's row at run time, weights rounded to nearest
  kSmooth,   // dynamic, with input factors; with texts also compensated rounding
  kStatic,   // as smooth, with fixed input ranges
  kMixed,    // as smooth, with the layers that matter most in floats: model/quantize/mixed.h
};

// What a directory of floats is served with unless something else is asked for.
inline constexpr Technique kTechniqueAtLoad = Technique::kSmooth;

// "dynamic", "smooth", "static", "mixed".
absl::string_view TechniqueName(Technique technique);
// InvalidArgument, listing the names, for any other.
absl::StatusOr<Technique> ParseTechnique(absl::string_view name);

struct TechniqueOptions {
  Technique technique = Technique::kSmooth;
  bool smoothing = true;  // input factors; not of kDynamic
  // These three only with texts.
  bool compensation = true;      // error-compensated rounding of weights (model/quantize/weight_rounding.h)
  bool clipping_search = false;  // of compensation: scales that clip weights are tried too
  bool bias_correction = true;   // the mean error of each output is taken off the bias
  RangeObserver observer = RangeObserver::kMinMax;  // of kStatic
  int num_threads = 1;
  Isa isa = Isa::kScalar;
};

// What a technique did to one linear layer, for the report. Errors are means of squared differences of the layer's
// outputs to f32's, over calibration rows; `signal` is the mean square of the outputs.
struct LinearReport {
  double alpha = -1;  // smoothing strength; -1: no factors
  double signal = 0;
  double error_dynamic = 0;  // as the technique "dynamic" would have it
  double error = 0;          // as planned
};

struct PlannedLayer {
  std::array<LinearPlan, kLinearsPerLayer> linears;
  std::array<LinearReport, kLinearsPerLayer> reports;
};

// Plans an encoder layer from the model alone; weights are rounded to nearest. probe_rows: of ProbeRows, for kSmooth: the layers that
// have rows there get factors; empty for kDynamic. Reports have no errors.
absl::StatusOr<PlannedLayer> PlanLayerWithoutTexts(const EncoderConfig& config, size_t layer_idx, Weights* weights,
                                                   const std::vector<std::vector<float>>& probe_rows);

// Plans it with texts, for any technique but kDynamic. InvalidArgument for calibration texts that the model computes
// no finite values from; errors of Weights and of kernels.
absl::StatusOr<PlannedLayer> PlanLayer(const TechniqueOptions& options, const EncoderConfig& config, size_t layer_idx,
                                       Weights* weights, Calibration* calibration);

}  // namespace octet::model

#endif  // OCTET_MODEL_QUANTIZE_TECHNIQUE_H_
