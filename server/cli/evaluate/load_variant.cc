#include "server/cli/evaluate/load_variant.h"

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <set>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status_macros.h"
#include "model/quote.h"
#include "server/cli/nearest_name.h"
#include "server/cli/report/path_name.h"

namespace octet::cli {
namespace {

namespace fs = std::filesystem;

struct BuiltIn {
  const char* name;
  model::Precision precision;
  model::Technique technique = model::kTechniqueAtLoad;
  model::ActivationRange activation_range = model::ActivationRange::kPerToken;
};
constexpr BuiltIn kBuiltIns[] = {
    {kBaselineVariant, model::Precision::kF32},
    {"bf16", model::Precision::kBf16},
    {"int8", model::Precision::kInt8},
    {"dynamic", model::Precision::kInt8, model::Technique::kDynamic},
    {"per_text", model::Precision::kInt8, model::kTechniqueAtLoad, model::ActivationRange::kPerText},
    {"moving_average", model::Precision::kInt8, model::kTechniqueAtLoad, model::ActivationRange::kMovingAverage},
};

// Null for a directory.
const BuiltIn* FindBuiltIn(const std::string& name) {
  const auto* const it = std::find_if(std::begin(kBuiltIns), std::end(kBuiltIns),
                                      [&](const BuiltIn& built_in) { return name == built_in.name; });
  return it == std::end(kBuiltIns) ? nullptr : it;
}

uint64_t WeightFileBytes(const std::string& directory) {
  uint64_t bytes = 0;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(directory, error)) {
    if (entry.path().extension() != ".safetensors") continue;
    const uint64_t file_bytes = entry.file_size(error);
    if (!error) bytes += file_bytes;
  }
  return bytes;
}

}  // namespace

absl::Status CheckVariantNames(const std::vector<std::string>& names) {
  std::set<std::string> labels;
  std::vector<std::string> known;
  for (const BuiltIn& built_in : kBuiltIns) known.push_back(built_in.name);
  known.insert(known.end(), std::begin(kMadeVariants), std::end(kMadeVariants));
  for (const std::string& name : names) {
    std::error_code error;
    if (FindBuiltIn(name) == nullptr && !fs::is_directory(name, error)) {
      return absl::InvalidArgumentError(
          absl::StrCat("--variants: ", model::Quote(name), ": want ", absl::StrJoin(known, ", "),
                       " or the directory of a model; nearest is ", NearestName(name, known)));
    }
    if (!labels.insert(VariantLabel(name)).second) {
      return absl::InvalidArgumentError(absl::StrCat("--variants: two are called ", model::Quote(VariantLabel(name)),
                                                     "; a report could not tell them apart"));
    }
  }
  return absl::OkStatus();
}

std::string VariantLabel(const std::string& name) { return FindBuiltIn(name) != nullptr ? name : PathName(name); }

absl::StatusOr<LoadedVariant> LoadVariant(const std::string& model_directory, const std::string& name,
                                          const EmbedModelOptions& options) {
  const BuiltIn* const built_in = FindBuiltIn(name);
  if (built_in != nullptr && built_in->precision == model::Precision::kBf16 && options.isa < Isa::kAvx512Bf16) {
    return absl::UnimplementedError(absl::StrCat("needs avx512_bf16, this is ", IsaName(options.isa)));
  }
  const std::string& directory = built_in != nullptr ? model_directory : name;
  EmbedModelOptions model_options = options;
  model_options.precision = built_in != nullptr ? built_in->precision : model::Precision::kInt8;
  LoadedVariant variant;
  if (built_in != nullptr) {
    model_options.technique = built_in->technique;
    model_options.activation_range = built_in->activation_range;
    variant.depends_on_history = built_in->activation_range == model::ActivationRange::kMovingAverage;
  }
  absl::StatusOr<EmbedModel> loaded = LoadEmbedModel(directory, model_options);
  if (!loaded.ok()) {
    return absl::Status(loaded.status().code(), absl::StrCat(VariantLabel(name), ": ", loaded.status().message()));
  }
  variant.loaded = *std::move(loaded);
  variant.file_bytes = WeightFileBytes(directory);
  return variant;
}

}  // namespace octet::cli
