// From logits to what a caller reads: scores, and the labels that pass, best first. Pure functions over one
// text's row, each with one order of its sums, so that equal logits give equal scores. Thread-safe.
#ifndef OCTET_MODEL_PREDICTIONS_H_
#define OCTET_MODEL_PREDICTIONS_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "model/task.h"

namespace octet::model {

struct PredictionOptions {
  ScoreActivation activation = ScoreActivation::kSoftmax;
  size_t top_k = 0;                    // at most so many; 0: all
  std::vector<float> thresholds = {};  // [num_labels], the least score of each label that passes; empty: all pass
};

struct Prediction {
  uint32_t label_idx = 0;
  float score = 0;
};

// Computed in f64 and rounded once. softmax: exp(x - max) / sum, summed in the order of the labels; sigmoid:
// 1 / (1 + exp(-x)). Neither overflows for any finite logits. A NaN among the logits makes its own score NaN,
// with softmax all of them. logits, scores: [num_labels >= 1]; they may be the same memory.
void ComputeScores(ScoreActivation activation, std::span<const float> logits, std::span<float> scores);

// The labels whose score passes its threshold, by descending score, equal ones by index; at most top_k. A NaN
// passes no threshold and comes last. logits: [num_labels].
std::vector<Prediction> Predict(std::span<const float> logits, const PredictionOptions& options);

}  // namespace octet::model

#endif  // OCTET_MODEL_PREDICTIONS_H_
