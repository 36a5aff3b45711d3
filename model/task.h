// The words for what a model was made for and what its outputs mean. Which code computes them is in head.h.
#ifndef OCTET_MODEL_TASK_H_
#define OCTET_MODEL_TASK_H_

#include "absl/strings/string_view.h"

namespace octet::model {

enum class Task {
  kEmbedding,            // a vector of hidden_dim values per text
  kClassification,       // a logit per label for each text or pair
  kTokenClassification,  // a logit per label for each token of a text
};

// "embedding", "classification", "token classification".
absl::string_view TaskName(Task task);

// How logits become scores.
enum class ScoreActivation {
  kSoftmax,  // labels exclude each other; scores add up to 1
  kSigmoid,  // each label by itself, in [0, 1]
  kRaw,      // the logits as they are
};

// "softmax", "sigmoid", "raw".
absl::string_view ScoreActivationName(ScoreActivation activation);

}  // namespace octet::model

#endif  // OCTET_MODEL_TASK_H_
