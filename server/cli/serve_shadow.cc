#include "server/cli/serve_shadow.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "model/task.h"
#include "serving/servable.h"

namespace octet::cli {
namespace {

constexpr uint64_t kMaxTokenizerBytes = 64 << 20;
// A token is an id and a type id; a text has its vectors' bookkeeping besides.
constexpr uint64_t kTokenBytes = 8;
constexpr uint64_t kTextBytes = 256;

absl::Status ShadowError(const absl::Status& status) {
  return absl::Status(status.code(), absl::StrCat("shadow: ", status.message()));
}

absl::Status CheckSameShape(const model::TextModelConfig& served, const model::TextModelConfig& floats) {
  const model::EncoderConfig& a = served.encoder;
  const model::EncoderConfig& b = floats.encoder;
  const struct {
    const char* name;
    uint64_t served, floats;
  } kNumbers[] = {
      {"layers", a.num_layers, b.num_layers},
      {"hidden size", a.hidden_dim, b.hidden_dim},
      {"heads", a.num_heads, b.num_heads},
      {"intermediate size", a.intermediate_dim, b.intermediate_dim},
      {"vocabulary", a.vocab_size, b.vocab_size},
      {"positions", a.num_positions, b.num_positions},
      {"labels", served.classification.labels.size(), floats.classification.labels.size()},
  };
  for (const auto& number : kNumbers) {
    if (number.served == number.floats) continue;
    return absl::InvalidArgumentError(absl::StrCat("directory: another model, ", number.name, " ", number.floats,
                                                   ", the served one has ", number.served));
  }
  if (a.family != b.family || a.activation != b.activation || served.task != floats.task ||
      served.sentence.pooling != floats.sentence.pooling ||
      served.classification.labels != floats.classification.labels) {
    return absl::InvalidArgumentError(
        "directory: another model, its family, activation, task, pooling or labels differ from the served one's");
  }
  return absl::OkStatus();
}

// Token ids of one must mean the same to the other.
absl::Status CheckSameTokenizer(const model::ModelDirectory& served, const model::ModelDirectory& floats) {
  constexpr char kFile[] = "tokenizer.json";
  ASSIGN_OR_RETURN(const std::string served_json, served.ReadSmallFile(kFile, kMaxTokenizerBytes));
  ASSIGN_OR_RETURN(const std::string floats_json, floats.ReadSmallFile(kFile, kMaxTokenizerBytes));
  if (served_json == floats_json) return absl::OkStatus();
  return absl::InvalidArgumentError("directory: its tokenizer.json differs from the served model's");
}

absl::Status CheckFloats(const model::TextModelConfig& config, bool is_own_directory) {
  if (!config.encoder.quantization) return absl::OkStatus();
  return absl::InvalidArgumentError(
      is_own_directory ? "the model's weights are stored quantized, and f32 cannot be made from them; give "
                         "shadow.directory, the directory that they were made from"
                       : "directory: its weights are stored quantized; give the one that they were made from");
}

absl::StatusOr<PlannedShadow> Plan(const config::v1::Model& model, const model::ModelDirectory& directory,
                                   const model::TextModelConfig& served, model::EncoderOptions options) {
  const config::v1::Shadow& shadow = model.shadow();
  if (options.precision == model::Precision::kF32) {
    return absl::InvalidArgumentError(
        "engine.precision is f32, so that answers would be compared with themselves; "
        "leave the section out");
  }
  PlannedShadow planned;
  model::TextModelConfig floats = served;
  planned.directory = model.directory();
  if (!shadow.directory().empty()) {
    planned.directory = shadow.directory();
    ASSIGN_OR_RETURN(const auto floats_directory, model::ModelDirectory::Open(planned.directory));
    ASSIGN_OR_RETURN(floats, model::ReadTextModelConfig(*floats_directory));
    RETURN_IF_ERROR(CheckFloats(floats, /*is_own_directory=*/false));
    RETURN_IF_ERROR(CheckSameShape(served, floats));
    RETURN_IF_ERROR(CheckSameTokenizer(directory, *floats_directory));
  } else {
    RETURN_IF_ERROR(CheckFloats(floats, /*is_own_directory=*/true));
  }
  planned.max_batch_tokens = floats.max_tokens;
  options.precision = model::Precision::kF32;
  options.max_batch_tokens = floats.max_tokens;
  ASSIGN_OR_RETURN(planned.memory, model::EstimateMemory(floats, options));
  planned.options = {.reference = nullptr,
                     .share = shadow.share(),
                     .max_tokens = std::min<size_t>(shadow.max_tokens(), floats.max_tokens),
                     .max_queue_texts = shadow.max_queue_texts()};
  const uint64_t output_dim =
      served.task == model::Task::kEmbedding ? served.encoder.hidden_dim : served.classification.labels.size();
  planned.queue_bytes = planned.options.max_queue_texts *
                        (kTextBytes + planned.options.max_tokens * kTokenBytes + output_dim * sizeof(float));
  return planned;
}

}  // namespace

absl::StatusOr<std::optional<PlannedShadow>> PlanShadow(const config::v1::Model& model,
                                                        const model::ModelDirectory& directory,
                                                        const model::TextModelConfig& served,
                                                        const model::EncoderOptions& options) {
  if (model.shadow().share() == 0) return std::nullopt;
  auto planned = Plan(model, directory, served, options);
  if (!planned.ok()) return ShadowError(planned.status());
  return *std::move(planned);
}

absl::StatusOr<serving::ShadowOptions> LoadShadow(const std::optional<PlannedShadow>& planned,
                                                  model::TextModelOptions options) {
  if (!planned) return serving::ShadowOptions();
  options.precision = model::Precision::kF32;
  options.max_batch_tokens = planned->max_batch_tokens;
  options.activation_range = model::ActivationRange::kPerToken;  // floats have none
  options.gate = {};
  options.needs_tokenizer = false;
  auto reference = model::TextModel::Load(planned->directory, options);
  if (!reference.ok()) return ShadowError(reference.status());
  serving::ShadowOptions loaded = planned->options;
  loaded.reference = serving::MakeServable(*std::move(reference));
  return loaded;
}

}  // namespace octet::cli
