// How close a model's outputs are to those of another one, f32's as a rule, on the same texts.
#ifndef OCTET_MODEL_QUANTIZE_FIDELITY_H_
#define OCTET_MODEL_QUANTIZE_FIDELITY_H_

#include <cstddef>
#include <span>
#include <vector>

#include "absl/status/statusor.h"
#include "model/quantize/calibration.h"
#include "model/task.h"
#include "model/text_model.h"

namespace octet::model {

// Text by text, where every token has outputs of its own token by token; 1 is equal. Embeddings: the cosine. Logits, which differ in size as well as direction, and may be one
// only: 1 - |difference|^2 / (2 m), m the mean of f32's |logits|^2; for outputs of one length that is the
// cosine, too.
struct Fidelity {
  double cosine_mean = 1, cosine_min = 1;

  bool AtLeast(const Fidelity& limit) const {
    return cosine_mean >= limit.cosine_mean && cosine_min >= limit.cosine_min;
  }
};

// What the model's head gives, texts end to end: vectors, not normalized, or logits; [num_rows, head().OutputSize(1)],
// a row for each text, or each token where every token has outputs of its own.
absl::StatusOr<std::vector<float>> ComputeTexts(const TextModel& model, const TokenizedTexts& texts);

// Both: [num_rows, dim] as of ComputeTexts, at least one row. A zero vector has cosine 0.
Fidelity CompareOutputs(Task task, std::span<const float> reference, std::span<const float> outputs, size_t dim);

}  // namespace octet::model

#endif  // OCTET_MODEL_QUANTIZE_FIDELITY_H_
