// What config.json says about a classification head, of texts or of tokens: that there is one, its labels, and how logits
// become scores. Read strictly, like the encoder's shape; knows nothing of weights. Thread-safe functions, no state.
#ifndef OCTET_MODEL_CLASSIFICATION_CONFIG_H_
#define OCTET_MODEL_CLASSIFICATION_CONFIG_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "model/model_directory.h"
#include "model/task.h"

namespace octet::model {

// Known heads have up to some thousand labels (product categories, intents); a label is a word or two.
inline constexpr uint32_t kMaxLabels = 10'000;
inline constexpr size_t kMaxLabelBytes = 256;

struct ClassificationConfig {
  std::vector<std::string> labels;  // by index: unique, not empty, UTF-8; at least one
  ScoreActivation activation = ScoreActivation::kSoftmax;
};

// The task that `architectures` names: classification or token classification for the family's class of that task alone,
// embedding for any other class (whose encoder is used without its head), none and null. InvalidArgument when
// the value is not a list of names, or lists another class beside one of those. `family`: an EncoderConfig::family.
absl::StatusOr<Task> ReadTask(const ModelDirectory& directory, absl::string_view family);

// num_labels, id2label, label2id and problem_type of config.json. InvalidArgument naming key and value for
// ids other than "0".."n-1", repeated, empty or overlong labels, counts that disagree, a label2id that is not
// id2label's inverse, and unknown problem types. As `transformers` has it: two labels where neither count nor
// names are given, and "LABEL_<i>" where only the count is. The activation is what its
// TextClassificationPipeline applies: regression raw; multi_label_classification or one label sigmoid;
// otherwise softmax.
absl::StatusOr<ClassificationConfig> ReadClassificationConfig(const ModelDirectory& directory);

}  // namespace octet::model

#endif  // OCTET_MODEL_CLASSIFICATION_CONFIG_H_
