#include "serving/shadow_compare.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

namespace octet::serving {
namespace {

uint64_t HashTokenIds(std::span<const int32_t> ids) {
  constexpr uint64_t kFnvOffset = 0xcbf29ce484222325, kFnvPrime = 0x100000001b3;
  uint64_t hash = kFnvOffset;
  for (const int32_t id : ids) hash = (hash ^ static_cast<uint32_t>(id)) * kFnvPrime;
  hash = (hash ^ (hash >> 33)) * 0xff51afd7ed558ccd;
  hash = (hash ^ (hash >> 33)) * 0xc4ceb9fe1a85ec53;
  return hash ^ (hash >> 33);
}

double Norm(std::span<const float> values) {
  double sum = 0;
  for (const float value : values) sum += double{value} * value;
  return std::sqrt(sum);
}

model::PredictionOptions DecidingOptions(const model::PredictionOptions& options, size_t num_labels) {
  model::PredictionOptions deciding = options;
  if (options.top_k != 0 || !options.thresholds.empty()) return deciding;
  if (options.activation == model::ScoreActivation::kSoftmax) deciding.top_k = 1;
  if (options.activation == model::ScoreActivation::kSigmoid) deciding.thresholds.assign(num_labels, 0.5f);
  return deciding;
}

// Ascending. With raw scores and nothing left out: all labels, whatever the logits.
std::vector<uint32_t> DecidedLabels(std::span<const float> logits, const model::PredictionOptions& options) {
  std::vector<uint32_t> labels;
  for (const model::Prediction& prediction : model::Predict(logits, options)) labels.push_back(prediction.label_idx);
  std::sort(labels.begin(), labels.end());
  return labels;
}

}  // namespace

bool IsSampled(std::span<const int32_t> ids, double share) {
  constexpr double kUnit = 1.0 / (uint64_t{1} << 53);  // of the 53 bits that a double holds exactly
  return static_cast<double>(HashTokenIds(ids) >> 11) * kUnit < share;
}

double CosineDistance(std::span<const float> a, std::span<const float> b) {
  const double a_norm = Norm(a), b_norm = Norm(b);
  if (!std::isfinite(a_norm) || !std::isfinite(b_norm)) return std::numeric_limits<double>::quiet_NaN();
  if (a_norm == 0 || b_norm == 0) return a_norm == b_norm ? 0 : 1;
  // |a/|a| - b/|b||^2 = 2 - 2 cos.
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    const double difference = a[i] / a_norm - b[i] / b_norm;
    sum += difference * difference;
  }
  return sum / 2;
}

bool IsLabelFlip(std::span<const float> served, std::span<const float> reference,
                 const model::PredictionOptions& options) {
  const model::PredictionOptions deciding = DecidingOptions(options, served.size());
  return DecidedLabels(served, deciding) != DecidedLabels(reference, deciding);
}

}  // namespace octet::serving
