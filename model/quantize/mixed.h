// Mixed precision: which linear layers stay in floats. Each layer's share of the damage is measured by quantizing it
// alone, its price by timing its product both ways; layers are then given back to floats in the order of damage a
// nanosecond until the model's vectors are as close to f32's as asked. Not thread-safe.
#ifndef OCTET_MODEL_QUANTIZE_MIXED_H_
#define OCTET_MODEL_QUANTIZE_MIXED_H_

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "model/linear_plan.h"
#include "model/quantize/calibration.h"
#include "model/quantize/fidelity.h"
#include "model/text_model.h"

namespace octet::model {

// Where a model with its first `num_float` layers of `order` in floats stands.
struct CurvePoint {
  size_t num_float = 0;
  Fidelity fidelity;
  double relative_time = 1;  // of all linear layers, to all in int8, by the timed products
};

struct MixedResult {
  std::vector<size_t> order;        // linear layers, the first to go to floats first
  std::vector<double> sensitivity;  // by linear_idx: 1 - mean cosine with only that layer quantized
  std::vector<CurvePoint> curve;    // by num_float, from 0 to all
  size_t num_float = 0;             // chosen: the fewest that meet the limit
  bool meets_limit = false;         // false: not even all floats would (rounding of embeddings), all are taken
  kernels::LinearKind float_kind = kernels::LinearKind::kF32;
};

struct MixedOptions {
  const TextModel* floats = nullptr;  // the model in f32; must outlive the search
  std::string directory;              // that it was loaded from
  TextModelOptions model;             // of what is tried; precision, plan and progress are not used
  Fidelity limit;
  // Called with what is done and of how many steps.
  std::function<void(size_t done, size_t total)> progress = nullptr;
};

// `int8`: every linear layer rounded, from another technique. Texts, at least one, decide; they must not be those of a
// later test.
absl::StatusOr<MixedResult> ChooseMixed(const MixedOptions& options, const QuantizationPlan& int8,
                                        const TokenizedTexts& texts);

// `int8` with the first `num_float` layers of `order` in `kind`.
QuantizationPlan MixedPlan(const QuantizationPlan& int8, const std::vector<size_t>& order, size_t num_float,
                           kernels::LinearKind kind);

}  // namespace octet::model

#endif  // OCTET_MODEL_QUANTIZE_MIXED_H_
