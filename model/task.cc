#include "model/task.h"

namespace octet::model {

absl::string_view TaskName(Task task) {
  switch (task) {
    case Task::kEmbedding:
      return "embedding";
    case Task::kClassification:
      return "classification";
    case Task::kTokenClassification:
      return "token classification";
  }
  return "";
}

absl::string_view ScoreActivationName(ScoreActivation activation) {
  switch (activation) {
    case ScoreActivation::kSoftmax:
      return "softmax";
    case ScoreActivation::kSigmoid:
      return "sigmoid";
    case ScoreActivation::kRaw:
      return "raw";
  }
  return "";
}

}  // namespace octet::model
