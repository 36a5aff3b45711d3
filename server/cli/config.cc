#include "server/cli/config.h"

#include <set>

#include "absl/strings/str_cat.h"
#include "server/cli/config_file.h"
#include "server/cli/config_listeners.h"
#include "server/cli/duration_buckets.h"
#include "server/cli/nearest_name.h"

namespace octet::cli {
namespace {

void ApplyFlags(const std::vector<FlagValue>& flags, Config* config, std::vector<std::string>* problems) {
  bool models_cleared = false;
  for (const FlagValue& flag : flags) {
    if (flag.key == "models") {
      const auto model = ParseModel(flag.text);
      if (!model.ok()) {
        problems->push_back(absl::StrCat(flag.flag, ": ", model.status().message()));
        continue;
      }
      // The flags' models replace those of file and variables: they are one value of one key.
      if (!models_cleared) config->clear_models();
      models_cleared = true;
      *config->add_models() = *model;
      continue;
    }
    const absl::Status status = SetKey(*FindConfigKeyOrNull(flag.key), flag.text, config);
    if (!status.ok()) problems->push_back(absl::StrCat(flag.flag, ": ", status.message()));
  }
}

void CheckModels(const Config& config, std::vector<std::string>* problems) {
  if (config.models().empty()) {
    problems->push_back("models: none; give --model NAME=DIR, OCTET_MODELS or models in the file");
  }
  std::set<std::string> names;
  for (const config::v1::Model& model : config.models()) {
    if (!IsModelName(model.name())) {
      problems->push_back(
          absl::StrCat("models: name ", Quoted(model.name()), ", want letters, digits and . _ / -, at most 128"));
    }
    if (model.directory().empty()) {
      problems->push_back(absl::StrCat("models: ", Quoted(model.name()), " has no directory"));
    }
    // Not in [0, 1], or not a number.
    if (!(model.shadow().share() >= 0 && model.shadow().share() <= 1)) {
      problems->push_back(absl::StrCat("models: ", Quoted(model.name()), " has shadow.share ", model.shadow().share(),
                                       ", want 0 to 1"));
    }
    if (!names.insert(model.name()).second) {
      problems->push_back(
          absl::StrCat("models: ", Quoted(model.name()), " given twice; use --model NAME=DIR with names of your own"));
    }
  }
  if (!config.default_model().empty() && names.count(config.default_model()) == 0) {
    problems->push_back(absl::StrCat("default_model: ", Quoted(config.default_model()),
                                     " is not among the models; nearest is ",
                                     Quoted(NearestName(config.default_model(), {names.begin(), names.end()}))));
  }
}

void CheckLimits(const Config& config, std::vector<std::string>* problems) {
  const auto& grpc = config.grpc();
  const auto& limits = config.limits();
  const uint64_t least_quota = 16 * grpc.max_receive_message_bytes();
  if (grpc.memory_quota_bytes() != 0 && grpc.memory_quota_bytes() < least_quota) {
    problems->push_back(absl::StrCat("grpc.memory_quota_bytes: ", grpc.memory_quota_bytes(),
                                     ", want 0 or at least 16 x grpc.max_receive_message_bytes = ", least_quota));
  }
  if (grpc.max_connection_age_grace_ms() < grpc.max_deadline_ms()) {
    problems->push_back(absl::StrCat("grpc.max_connection_age_grace_ms: ", grpc.max_connection_age_grace_ms(),
                                     ", want at least grpc.max_deadline_ms = ", grpc.max_deadline_ms()));
  }
  if (limits.max_pending_bytes() < limits.max_text_bytes()) {
    problems->push_back(absl::StrCat("limits.max_pending_bytes: ", limits.max_pending_bytes(),
                                     ", want at least limits.max_text_bytes = ", limits.max_text_bytes()));
  }
  if (limits.max_queue_texts() < limits.max_texts_per_call()) {
    problems->push_back(absl::StrCat("limits.max_queue_texts: ", limits.max_queue_texts(),
                                     ", want at least limits.max_texts_per_call = ", limits.max_texts_per_call()));
  }
  if (limits.max_queue_tokens() < limits.max_batch_tokens()) {
    problems->push_back(absl::StrCat("limits.max_queue_tokens: ", limits.max_queue_tokens(),
                                     ", want at least limits.max_batch_tokens = ", limits.max_batch_tokens()));
  }
}

void CheckMetrics(const Config& config, std::vector<std::string>* problems) {
  const auto buckets = ParseDurationBuckets(config.metrics().duration_buckets());
  if (!buckets.ok()) problems->push_back(absl::StrCat("metrics.duration_buckets: ", buckets.status().message()));
}

void CheckAdvice(const Config& config, std::vector<std::string>* problems) {
  const bool is_cached = config.advice().mode() == "cached";
  if (is_cached == !config.advice().cache().empty()) return;
  problems->push_back(
      is_cached ? "advice.cache: empty, but advice.mode is cached; name the file that octet advise "
                  "--cache wrote"
                : absl::StrCat("advice.cache: given, but advice.mode is ", config.advice().mode(), ", not cached"));
}

}  // namespace

LoadedConfig LoadConfig(const ConfigSources& sources) {
  LoadedConfig loaded;
  if (!sources.file.empty()) ApplyYamlFile(sources.file, &loaded.config, &loaded.problems);
  ApplyEnvironment(sources.environment, &loaded.config, &loaded.problems, &loaded.warnings);
  ApplyFlags(sources.flags, &loaded.config, &loaded.problems);
  CheckConfig(loaded.config, &loaded.problems);
  return loaded;
}

void CheckConfig(const Config& config, std::vector<std::string>* problems) {
  CheckListeners(config, problems);
  CheckModels(config, problems);
  CheckLimits(config, problems);
  CheckMetrics(config, problems);
  CheckAdvice(config, problems);
}

}  // namespace octet::cli
