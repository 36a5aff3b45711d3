#include "model/sentence_config.h"

#include <set>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status_macros.h"
#include "model/quote.h"
#include "model/strict_json.h"

namespace octet::model {
namespace {

constexpr char kModulesFile[] = "modules.json";
constexpr char kTransformerFile[] = "sentence_bert_config.json";
constexpr char kPromptsFile[] = "config_sentence_transformers.json";
constexpr uint32_t kMaxDim = 1 << 20;
constexpr uint32_t kMaxSeqLength = 1 << 20;

absl::Status RefuseUnknownKeys(absl::string_view file, const Json& object, const std::set<std::string>& known) {
  for (const auto& [key, value] : object.items()) {
    if (known.count(key) == 0) {
      return absl::InvalidArgumentError(absl::StrCat(file, ": unknown key ", Quote(key), ": got ", ShowJson(value),
                                                     ", known are ", absl::StrJoin(known, ", ")));
    }
  }
  return absl::OkStatus();
}

struct PoolingName {
  const char* key;   // one boolean per mode
  const char* name;  // value of the newer "pooling_mode"
  bool is_supported;
  Pooling pooling;
};
constexpr PoolingName kPoolingNames[] = {
    {"pooling_mode_cls_token", "cls", true, Pooling::kCls},
    {"pooling_mode_mean_tokens", "mean", true, Pooling::kMean},
    {"pooling_mode_max_tokens", "max", true, Pooling::kMax},
    {"pooling_mode_mean_sqrt_len_tokens", "mean_sqrt_len_tokens", false, {}},
    {"pooling_mode_weightedmean_tokens", "weightedmean", false, {}},
    {"pooling_mode_lasttoken", "lasttoken", false, {}},
};

absl::StatusOr<Pooling> ReadPoolingMode(const std::string& file, const JsonReader& config) {
  constexpr char kSupported[] = "one of cls, mean, max";
  std::vector<const PoolingName*> modes;
  if (config.Has("pooling_mode")) {
    ASSIGN_OR_RETURN(const std::string name, config.String("pooling_mode", std::nullopt));
    for (const PoolingName& mode : kPoolingNames) {
      if (name == mode.name) modes.push_back(&mode);
    }
    if (modes.empty()) return config.Error("pooling_mode", kSupported);
  }
  for (const PoolingName& mode : kPoolingNames) {
    // The reference takes the mean when its key is absent, whatever the others say.
    const bool fallback = mode.pooling == Pooling::kMean && mode.is_supported && modes.empty();
    ASSIGN_OR_RETURN(const bool is_on, config.Bool(mode.key, fallback));
    if (is_on) modes.push_back(&mode);
  }
  for (const PoolingName* mode : modes) {
    if (!mode->is_supported) {
      return absl::InvalidArgumentError(
          absl::StrCat(file, ": pooling mode ", mode->key, " is not supported, allowed ", kSupported));
    }
    if (mode != modes.front()) {
      return absl::InvalidArgumentError(
          absl::StrCat(file, ": ", modes.front()->key, " and ", mode->key, " at once, allowed ", kSupported));
    }
  }
  if (modes.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(file, ": no pooling mode is true, allowed ", kSupported));
  }
  return modes.front()->pooling;
}

absl::Status ReadPooling(const ModelDirectory& directory, absl::string_view folder, SentenceConfig* config) {
  const std::string file = absl::StrCat(folder, "/config.json");
  ASSIGN_OR_RETURN(const Json object, ReadJsonObject(directory, file));
  std::set<std::string> known = {"word_embedding_dimension", "embedding_dimension", "pooling_mode", "include_prompt"};
  for (const PoolingName& mode : kPoolingNames) known.insert(mode.key);
  RETURN_IF_ERROR(RefuseUnknownKeys(file, object, known));
  const JsonReader json(file, object);
  ASSIGN_OR_RETURN(config->pooling, ReadPoolingMode(file, json));
  ASSIGN_OR_RETURN(const bool include_prompt, json.Bool("include_prompt", true));
  if (!include_prompt) return json.Error("include_prompt", "true");
  for (const char* key : {"word_embedding_dimension", "embedding_dimension"}) {
    if (!json.Has(key)) continue;
    ASSIGN_OR_RETURN(config->embedding_dim, json.Integer(key, 1, kMaxDim));
  }
  return absl::OkStatus();
}

struct Module {
  std::string kind;  // "Transformer", "Pooling", ...
  std::string path;
};

// One entry of modules.json; `index` for errors.
absl::StatusOr<Module> ReadModule(const Json& entry, size_t index) {
  const std::string where = absl::StrCat(kModulesFile, ": [", index, "]");
  if (!entry.is_object()) return absl::InvalidArgumentError(absl::StrCat(where, ": not an object"));
  RETURN_IF_ERROR(RefuseUnknownKeys(where, entry, {"idx", "name", "path", "type", "kwargs"}));
  const JsonReader json(where, entry);
  if (json.Has("kwargs") && !json.Find("kwargs")->empty()) {
    return json.Error("kwargs", "an empty list");
  }
  ASSIGN_OR_RETURN(const std::string type, json.String("type", std::nullopt));
  Module module;
  ASSIGN_OR_RETURN(module.path, json.String("path", ""));
  // Class paths moved between releases ("sentence_transformers.models.Pooling",
  // "sentence_transformers.models.pooling.Pooling"); the class is the last part. Other packages' modules
  // are code, which octet never runs.
  module.kind = type.substr(type.rfind('.') + 1);
  const bool is_known = module.kind == "Transformer" || module.kind == "Pooling" || module.kind == "Normalize";
  if (!absl::StartsWith(type, "sentence_transformers.") || !is_known) {
    return absl::InvalidArgumentError(absl::StrCat(where, ": module type ", Quote(type),
                                                   " is not supported, allowed Transformer, "
                                                   "Pooling, Normalize"));
  }
  return module;
}

absl::Status ReadModules(const ModelDirectory& directory, SentenceConfig* config) {
  ASSIGN_OR_RETURN(const Json modules, ReadJsonArray(directory, kModulesFile));
  std::string order;
  for (size_t i = 0; i < modules.size(); ++i) {
    ASSIGN_OR_RETURN(const Module module, ReadModule(modules[i], i));
    absl::StrAppend(&order, order.empty() ? "" : ", ", module.kind);
    if (i == 0 && !module.path.empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat(kModulesFile, ": [0]: path: got ", Quote(module.path),
                       ", allowed \"\": the encoder's files lie in the model directory itself"));
    }
    if (module.kind == "Pooling") RETURN_IF_ERROR(ReadPooling(directory, module.path, config));
    if (module.kind == "Normalize") config->normalize = true;
  }
  if (order != "Transformer, Pooling" && order != "Transformer, Pooling, Normalize") {
    return absl::InvalidArgumentError(absl::StrCat(kModulesFile, ": modules ", Quote(order),
                                                   ", allowed Transformer, Pooling and at most "
                                                   "one Normalize, in this order"));
  }
  return absl::OkStatus();
}

absl::Status ReadTransformerSettings(const ModelDirectory& directory, SentenceConfig* config) {
  ASSIGN_OR_RETURN(const Json object, ReadJsonObject(directory, kTransformerFile));
  RETURN_IF_ERROR(RefuseUnknownKeys(kTransformerFile, object, {"max_seq_length", "do_lower_case", "transformer_task"}));
  const JsonReader json(kTransformerFile, object);
  if (json.Has("max_seq_length")) {
    ASSIGN_OR_RETURN(config->max_seq_length, json.Integer("max_seq_length", 1, kMaxSeqLength));
  }
  ASSIGN_OR_RETURN(config->do_lower_case, json.Bool("do_lower_case", false));
  ASSIGN_OR_RETURN(const std::string task, json.String("transformer_task", "feature-extraction"));
  if (task != "feature-extraction") return json.Error("transformer_task", "\"feature-extraction\"");
  return absl::OkStatus();
}

absl::Status ReadPrompts(const ModelDirectory& directory, SentenceConfig* config) {
  ASSIGN_OR_RETURN(const Json object, ReadJsonObject(directory, kPromptsFile));
  // similarity_fn_name says how to compare vectors, not how to make them.
  RETURN_IF_ERROR(RefuseUnknownKeys(
      kPromptsFile, object, {"__version__", "model_type", "prompts", "default_prompt_name", "similarity_fn_name"}));
  const JsonReader json(kPromptsFile, object);
  ASSIGN_OR_RETURN(const std::string type, json.String("model_type", "SentenceTransformer"));
  if (type != "SentenceTransformer") return json.Error("model_type", "\"SentenceTransformer\"");
  if (const Json* const prompts = json.Find("prompts")) {
    if (!prompts->is_object()) return json.Error("prompts", "an object of strings");
    for (const auto& [name, prompt] : prompts->items()) {
      if (!prompt.is_string()) {
        return absl::InvalidArgumentError(
            absl::StrCat(kPromptsFile, ": prompts: ", Quote(name), ": got ", ShowJson(prompt), ", allowed a string"));
      }
      config->prompts.emplace(name, prompt.get<std::string>());
    }
  }
  if (json.Has("default_prompt_name")) {
    ASSIGN_OR_RETURN(config->default_prompt_name, json.String("default_prompt_name", std::nullopt));
    if (config->prompts.count(*config->default_prompt_name) == 0) {
      return json.Error("default_prompt_name", "a name in prompts");
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<SentenceConfig> ReadSentenceConfig(const ModelDirectory& directory) {
  SentenceConfig config;
  if (directory.Exists(kModulesFile)) RETURN_IF_ERROR(ReadModules(directory, &config));
  if (directory.Exists(kTransformerFile)) {
    RETURN_IF_ERROR(ReadTransformerSettings(directory, &config));
  }
  if (directory.Exists(kPromptsFile)) RETURN_IF_ERROR(ReadPrompts(directory, &config));
  return config;
}

}  // namespace octet::model
