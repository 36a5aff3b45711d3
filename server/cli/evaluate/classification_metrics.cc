#include "server/cli/evaluate/classification_metrics.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/check.h"

namespace octet::cli {
namespace {

struct Counts {
  uint64_t true_positives = 0, false_positives = 0, false_negatives = 0;

  uint64_t wrong() const { return false_positives + false_negatives; }
  bool occurs() const { return true_positives + wrong() > 0; }
  double f1() const {
    return occurs() ? 2.0 * static_cast<double>(true_positives) / static_cast<double>(2 * true_positives + wrong()) : 0;
  }
};

void CountText(const LabelSet& truth, const LabelSet& predicted, std::span<Counts> labels) {
  for (const uint32_t label : predicted) {
    if (std::binary_search(truth.begin(), truth.end(), label)) {
      ++labels[label].true_positives;
    } else {
      ++labels[label].false_positives;
    }
  }
  for (const uint32_t label : truth) {
    if (!std::binary_search(predicted.begin(), predicted.end(), label)) ++labels[label].false_negatives;
  }
}

}  // namespace

LabelScores ScoreLabels(std::span<const LabelSet> truth, std::span<const LabelSet> predicted, uint32_t num_labels,
                        std::span<const uint32_t> sample) {
  OCTET_CHECK(truth.size() == predicted.size() && !sample.empty());
  std::vector<Counts> labels(num_labels);
  size_t num_exact = 0;
  for (const uint32_t i : sample) {
    CountText(truth[i], predicted[i], labels);
    num_exact += truth[i] == predicted[i];
  }
  Counts all;
  double f1_sum = 0;
  size_t num_occurring = 0;
  for (const Counts& label : labels) {
    all.true_positives += label.true_positives;
    all.false_positives += label.false_positives;
    all.false_negatives += label.false_negatives;
    f1_sum += label.f1();
    num_occurring += label.occurs();
  }
  return {.accuracy = static_cast<double>(num_exact) / static_cast<double>(sample.size()),
          .micro_f1 = all.f1(),
          .macro_f1 = num_occurring == 0 ? 0 : f1_sum / static_cast<double>(num_occurring)};
}

std::vector<LabelSet> LargestLabels(MatrixView<const float> logits) {
  std::vector<LabelSet> labels(logits.rows());
  for (size_t i = 0; i < logits.rows(); ++i) {
    const std::span<const float> row = logits.Row(i);
    labels[i] = {static_cast<uint32_t>(std::max_element(row.begin(), row.end()) - row.begin())};
  }
  return labels;
}

std::vector<LabelSet> LabelsAbove(MatrixView<const float> logits, double threshold) {
  std::vector<LabelSet> labels(logits.rows());
  for (size_t i = 0; i < logits.rows(); ++i) {
    for (uint32_t label = 0; label < logits.cols(); ++label) {
      if (1 / (1 + std::exp(-static_cast<double>(logits.Row(i)[label]))) >= threshold) labels[i].push_back(label);
    }
  }
  return labels;
}

double BestThreshold(MatrixView<const float> logits, std::span<const LabelSet> truth) {
  std::vector<uint32_t> all(truth.size());
  std::iota(all.begin(), all.end(), 0u);
  double best = 0.5, best_f1 = -1;
  for (int percent = 1; percent < 100; ++percent) {
    const double threshold = percent / 100.0;
    const double f1 =
        ScoreLabels(truth, LabelsAbove(logits, threshold), static_cast<uint32_t>(logits.cols()), all).micro_f1;
    if (f1 > best_f1 || (f1 == best_f1 && std::abs(threshold - 0.5) < std::abs(best - 0.5))) {
      best = threshold;
      best_f1 = f1;
    }
  }
  return best;
}

}  // namespace octet::cli
