#include "model/predictions.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"

namespace octet::model {
namespace {

void Softmax(std::span<const float> logits, std::span<float> scores) {
  float max = logits[0];
  for (const float logit : logits) max = std::max(max, logit);
  const auto exponential = [max](float logit) { return std::exp(static_cast<double>(logit) - max); };
  // Twice the exponentials instead of a buffer for them: rows are short.
  double sum = 0;
  for (const float logit : logits) sum += exponential(logit);
  for (size_t i = 0; i < logits.size(); ++i) scores[i] = static_cast<float>(exponential(logits[i]) / sum);
}

float Sigmoid(float logit) { return static_cast<float>(1.0 / (1.0 + std::exp(-static_cast<double>(logit)))); }

// A total order, whatever the scores are: sorting by one that is none is undefined.
bool IsBetter(const Prediction& a, const Prediction& b) {
  const bool a_is_nan = std::isnan(a.score), b_is_nan = std::isnan(b.score);
  if (a_is_nan != b_is_nan) return b_is_nan;
  if (a_is_nan || a.score == b.score) return a.label_idx < b.label_idx;
  return a.score > b.score;
}

}  // namespace

void ComputeScores(ScoreActivation activation, std::span<const float> logits, std::span<float> scores) {
  switch (activation) {
    case ScoreActivation::kSoftmax:
      return Softmax(logits, scores);
    case ScoreActivation::kSigmoid:
      std::transform(logits.begin(), logits.end(), scores.begin(), Sigmoid);
      return;
    case ScoreActivation::kRaw:
      std::copy(logits.begin(), logits.end(), scores.begin());
      return;
  }
}

std::vector<Prediction> Predict(std::span<const float> logits, const PredictionOptions& options) {
  OCTET_CHECK(options.thresholds.empty() || options.thresholds.size() == logits.size());
  std::vector<float> scores(logits.size());
  ComputeScores(options.activation, logits, scores);
  std::vector<Prediction> predictions;
  predictions.reserve(scores.size());
  for (uint32_t i = 0; i < scores.size(); ++i) {
    if (options.thresholds.empty() || scores[i] >= options.thresholds[i]) predictions.push_back({i, scores[i]});
  }
  const size_t kept = options.top_k == 0 ? predictions.size() : std::min(options.top_k, predictions.size());
  std::partial_sort(predictions.begin(), predictions.begin() + static_cast<ptrdiff_t>(kept), predictions.end(),
                    IsBetter);
  predictions.resize(kept);
  return predictions;
}

}  // namespace octet::model
