#include "model/classification_config.h"

#include <algorithm>
#include <optional>
#include <set>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/status_macros.h"
#include "model/families/family.h"
#include "model/quote.h"
#include "model/strict_json.h"

namespace octet::model {
namespace {

constexpr uint32_t kDefaultNumLabels = 2;  // of PretrainedConfig in `transformers`

absl::Status LabelError(absl::string_view key, absl::string_view id, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat(kConfigFile, ": ", key, ": ", Quote(id), ": ", what));
}

absl::Status CheckLabel(absl::string_view id, const Json& label) {
  if (!label.is_string())
    return LabelError("id2label", id, absl::StrCat("got ", ShowJson(label), ", allowed a string"));
  const std::string& text = label.get_ref<const std::string&>();
  if (text.empty() || text.size() > kMaxLabelBytes) {
    return LabelError("id2label", id, absl::StrCat("label of ", text.size(), " bytes, allowed 1 to ", kMaxLabelBytes));
  }
  return absl::OkStatus();
}

// The labels of id2label, whose ids must be "0" to "n-1", each once.
absl::StatusOr<std::vector<std::string>> ReadLabels(const JsonReader& json) {
  const Json& map = *json.Find("id2label");
  if (!map.is_object()) return json.Error("id2label", "an object of labels");
  if (map.empty() || map.size() > kMaxLabels) {
    return absl::InvalidArgumentError(
        absl::StrCat(kConfigFile, ": id2label: got ", map.size(), " labels, allowed 1 to ", kMaxLabels));
  }
  std::vector<std::string> labels(map.size());
  std::set<absl::string_view> seen;
  for (const auto& [id, label] : map.items()) {
    uint32_t idx = 0;
    // Spelled as a number is printed: "01" and " 1" would name an id twice.
    if (!absl::SimpleAtoi(id, &idx) || absl::StrCat(idx) != id || idx >= map.size()) {
      return LabelError("id2label", id, absl::StrCat("not an id, allowed \"0\" to \"", map.size() - 1, "\", no gaps"));
    }
    RETURN_IF_ERROR(CheckLabel(id, label));
    labels[idx] = label.get<std::string>();
    if (!seen.insert(absl::string_view(labels[idx])).second) {
      return LabelError("id2label", id, absl::StrCat("label ", Quote(labels[idx]), " given twice, allowed once"));
    }
  }
  return labels;
}

std::vector<std::string> DefaultLabels(uint32_t num_labels) {
  std::vector<std::string> labels;
  for (uint32_t i = 0; i < num_labels; ++i) labels.push_back(absl::StrCat("LABEL_", i));
  return labels;
}

// label2id says the same a second time; where the two differ, nobody can tell which one was meant.
absl::Status CheckLabelIds(const JsonReader& json, const std::vector<std::string>& labels) {
  const Json* const map = json.Find("label2id");
  if (map == nullptr) return absl::OkStatus();
  if (!map->is_object()) return json.Error("label2id", "an object of ids");
  if (map->size() != labels.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat(kConfigFile, ": label2id: got ", map->size(), " labels, the model has ", labels.size()));
  }
  for (size_t idx = 0; idx < labels.size(); ++idx) {
    const auto id = map->find(labels[idx]);
    if (id == map->end()) return LabelError("label2id", labels[idx], absl::StrCat("missing, id2label has it at ", idx));
    if (!id->is_number_integer() || id->get<int64_t>() != static_cast<int64_t>(idx)) {
      return LabelError("label2id", labels[idx], absl::StrCat("got ", ShowJson(*id), ", id2label says ", idx));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<ScoreActivation> ReadActivation(const JsonReader& json, size_t num_labels) {
  ASSIGN_OR_RETURN(const std::string problem, json.String("problem_type", ""));
  if (problem == "regression") return ScoreActivation::kRaw;
  const bool is_multi_label = problem == "multi_label_classification";
  if (!is_multi_label && problem != "single_label_classification" && !problem.empty()) {
    return json.Error("problem_type",
                      "\"single_label_classification\", \"multi_label_classification\", \"regression\"");
  }
  // A softmax over one label is always 1.
  return is_multi_label || num_labels == 1 ? ScoreActivation::kSigmoid : ScoreActivation::kSoftmax;
}

}  // namespace

absl::StatusOr<Task> ReadTask(const ModelDirectory& directory, absl::string_view family_name) {
  ASSIGN_OR_RETURN(const Json object, ReadJsonObject(directory, kConfigFile));
  const JsonReader json(kConfigFile, object);
  const Json* const names = json.Find("architectures");
  if (names == nullptr) return Task::kEmbedding;
  if (!names->is_array() || !std::all_of(names->begin(), names->end(), [](const Json& n) { return n.is_string(); })) {
    return json.Error("architectures", "a list of class names");
  }
  const Family* const family = FindFamilyOrNull(family_name);
  OCTET_CHECK(family != nullptr);
  const std::pair<const std::string&, Task> classes[] = {
      {family->classification_architecture, Task::kClassification},
      {family->token_classification_architecture, Task::kTokenClassification}};
  for (const auto& [name, task] : classes) {
    if (std::find(names->begin(), names->end(), name) == names->end()) continue;
    if (names->size() != 1) return json.Error("architectures", absl::StrCat(Quote(name), " alone"));
    return task;
  }
  return Task::kEmbedding;
}

absl::StatusOr<ClassificationConfig> ReadClassificationConfig(const ModelDirectory& directory) {
  ASSIGN_OR_RETURN(const Json object, ReadJsonObject(directory, kConfigFile));
  const JsonReader json(kConfigFile, object);
  ClassificationConfig config;
  if (json.Has("id2label")) {
    ASSIGN_OR_RETURN(config.labels, ReadLabels(json));
    const auto count = static_cast<uint32_t>(config.labels.size());
    ASSIGN_OR_RETURN(const uint32_t num_labels, json.Integer("num_labels", 1, kMaxLabels, count));
    if (num_labels != count) {
      return json.Error("num_labels", absl::StrCat("the number of labels in id2label, ", count));
    }
  } else {
    ASSIGN_OR_RETURN(const uint32_t num_labels, json.Integer("num_labels", 1, kMaxLabels, kDefaultNumLabels));
    config.labels = DefaultLabels(num_labels);
  }
  RETURN_IF_ERROR(CheckLabelIds(json, config.labels));
  ASSIGN_OR_RETURN(config.activation, ReadActivation(json, config.labels.size()));
  return config;
}

}  // namespace octet::model
