// How well predicted labels fit the true ones, for one label a text and for several. Pure functions, thread-safe.
#ifndef OCTET_SERVER_CLI_EVALUATE_CLASSIFICATION_METRICS_H_
#define OCTET_SERVER_CLI_EVALUATE_CLASSIFICATION_METRICS_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/matrix_view.h"

namespace octet::cli {

// Labels of one text: indices, ascending, without repeats. May be empty.
using LabelSet = std::vector<uint32_t>;

struct LabelScores {
  double accuracy = 0;  // share of texts whose set is exactly right ("subset accuracy" with several labels)
  // 2 tp / (2 tp + fp + fn): over the counts of all labels; and the mean over the labels that occur in the true or the
  // predicted sets (for the others it is 0/0). 0 when no label occurs at all.
  // Source: van Rijsbergen (1979), "Information Retrieval", chapter 7; scikit-learn's f1_score with
  // average="micro", and average="macro" with zero_division=nan.
  double micro_f1 = 0;
  double macro_f1 = 0;
};

// Of the texts sample[0], sample[1], ..., which may repeat. Labels are below num_labels; `sample` is not empty.
LabelScores ScoreLabels(std::span<const LabelSet> truth, std::span<const LabelSet> predicted, uint32_t num_labels,
                        std::span<const uint32_t> sample);

// The label with the largest value of each row, the first of equals. logits: [num_texts, num_labels].
std::vector<LabelSet> LargestLabels(MatrixView<const float> logits);

// The labels of each row whose probability 1 / (1 + exp(-logit)) is at least `threshold`, in (0, 1).
std::vector<LabelSet> LabelsAbove(MatrixView<const float> logits, double threshold);

// Of 0.01, 0.02, ..., 0.99 the threshold with the largest micro F1 on these texts; of equals the one nearest to 0.5.
double BestThreshold(MatrixView<const float> logits, std::span<const LabelSet> truth);

}  // namespace octet::cli

#endif  // OCTET_SERVER_CLI_EVALUATE_CLASSIFICATION_METRICS_H_
