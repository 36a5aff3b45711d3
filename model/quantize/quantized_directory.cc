#include "model/quantize/quantized_directory.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "kernels/scalar_kernels.h"
#include "model/encoder_config.h"
#include "model/linear_load.h"
#include "model/model_directory.h"
#include "model/safetensors_writer.h"
#include "model/strict_json.h"
#include "model/weights.h"

namespace octet::model {
namespace {

constexpr char kWeightsFile[] = "model.safetensors";
constexpr char kModulesFile[] = "modules.json";
constexpr uint64_t kMaxSideFileBytes = 64 << 20;
// What octet and others read beside weights and config.json, and what people read.
constexpr const char* kSideFiles[] = {
    "tokenizer.json", "tokenizer_config.json",     "special_tokens_map.json",           "vocab.txt",
    kModulesFile,     "sentence_bert_config.json", "config_sentence_transformers.json", "LICENSE",
    "NOTICE"};

// Which linear layer, and which part of it, a tensor belongs to.
struct Part {
  size_t linear_idx = 0, part = 0, num_parts = 1;
};

std::map<std::string, Part> PartsOf(const EncoderConfig& config) {
  std::map<std::string, Part> parts;
  for (size_t i = 0; i < config.num_layers * kLinearsPerLayer; ++i) {
    const std::vector<std::string> names = NamesOfLinear(config, i);
    for (size_t part = 0; part < names.size(); ++part) parts[names[part]] = {i, part, names.size()};
  }
  return parts;
}

bool HasFactors(const QuantizationPlan& plan) {
  return std::any_of(plan.linears.begin(), plan.linears.end(),
                     [](const LinearPlan& linear) { return !linear.input.factors.empty(); });
}

// Puts the tensors of a model together.
class TensorStage {
 public:
  TensorStage(const EncoderConfig& config, const QuantizationPlan& plan, const ModelDirectory& directory)
      : config_(config), plan_(plan), directory_(directory), parts_(PartsOf(config)), has_factors_(HasFactors(plan)) {}

  absl::Status AddAll() {
    ASSIGN_OR_RETURN(const auto weights, Weights::Open(directory_, TensorNamesOf(config_.family)));
    for (const std::string& file_name : weights->file_names()) {
      ASSIGN_OR_RETURN(auto file, directory_.OpenFile(file_name));
      ASSIGN_OR_RETURN(const auto tensors, ReadSafetensorsHeader(*file));
      for (const auto& [spelled, info] : tensors) RETURN_IF_ERROR(Add(spelled, info, *file, weights.get()));
      files_.push_back(std::move(file));
    }
    return absl::OkStatus();
  }

  const SafetensorsWriter& writer() const { return writer_; }
  // DataLoss when a source file changed since it was opened.
  absl::Status CheckUnchanged() const {
    for (const auto& file : files_) RETURN_IF_ERROR(file->CheckUnchanged());
    return absl::OkStatus();
  }
  const std::vector<std::string>& ignored() const { return ignored_; }

 private:
  absl::Status Add(const std::string& spelled, const TensorInfo& info, const ModelFile& file, Weights* weights) {
    const size_t dot = spelled.rfind('.');
    const std::string layer = spelled.substr(0, dot), ending = dot == std::string::npos ? "" : spelled.substr(dot);
    const auto part = parts_.find(CanonicalTensorName(layer, TensorNamesOf(config_.family)));
    const bool is_linear = part != parts_.end() && (ending == ".weight" || ending == ".bias");
    const LinearPlan* const plan = is_linear ? &plan_.linears[part->second.linear_idx] : nullptr;
    if (plan != nullptr && plan->input.kind == kernels::LinearKind::kInt8) {
      return ending == ".bias" ? AddBias(spelled, *plan, part->second) : AddQuantized(layer, *plan, part->second);
    }
    // Readers that quantize by the type of a layer must be told of every one that is not.
    const bool is_matrix = ending == ".weight" && info.shape.size() == 2;
    if (is_matrix && !absl::StrContains(spelled, "embeddings")) ignored_.push_back(layer);
    if (plan != nullptr && plan->input.kind == kernels::LinearKind::kBf16 && ending == ".weight") {
      return AddBf16(spelled, info, weights);
    }
    return writer_.AddCopy(spelled, info, &file);
  }

  template <typename T>
  static std::span<const T> PartOf(const std::vector<T>& values, const Part& part) {
    const size_t size = values.size() / part.num_parts;
    return std::span(values).subspan(part.part * size, size);
  }

  absl::Status AddBias(const std::string& name, const LinearPlan& plan, const Part& part) {
    const std::span<const float> bias = PartOf(plan.bias, part);
    return writer_.Add(name, DType::kF32, {bias.size()}, bias);
  }

  absl::Status AddQuantized(const std::string& layer, const LinearPlan& plan, const Part& part) {
    const std::span<const float> scales = PartOf(plan.scales, part);
    const std::span<const int8_t> values = PartOf(plan.weights, part);
    const uint64_t out_dim = scales.size(), in_dim = values.size() / out_dim;
    RETURN_IF_ERROR(writer_.Add(absl::StrCat(layer, ".weight"), DType::kI8, {out_dim, in_dim}, values));
    RETURN_IF_ERROR(writer_.Add(absl::StrCat(layer, ".weight_scale"), DType::kF32, {out_dim, 1}, scales));
    if (has_factors_) {  // then of every layer
      const std::vector<float>& factors = plan.input.factors.empty() ? OnesOf(in_dim) : plan.input.factors;
      RETURN_IF_ERROR(
          writer_.Add(absl::StrCat(layer, ".input_factors"), DType::kF32, {in_dim}, std::span<const float>(factors)));
    }
    if (plan.input.range != kernels::RowRange::kFixed) return absl::OkStatus();
    const std::span<const float> scale(&plan.input.fixed.scale, 1);
    RETURN_IF_ERROR(writer_.Add(absl::StrCat(layer, ".input_scale"), DType::kF32, {1}, scale));
    // Stored for signed values.
    const auto zero_point = static_cast<std::byte>(plan.input.fixed.zero_point - 128);
    return writer_.AddOwned(absl::StrCat(layer, ".input_zero_point"), DType::kI8, {1}, {zero_point});
  }

  // Kept until everything is written.
  const std::vector<float>& OnesOf(size_t size) { return ones_.try_emplace(size, size, 1.0f).first->second; }

  absl::Status AddBf16(const std::string& name, const TensorInfo& info, Weights* weights) {
    std::vector<float> values(info.shape[0] * info.shape[1]);
    RETURN_IF_ERROR(weights->ReadF32(CanonicalTensorName(name, TensorNamesOf(config_.family)), info.shape, values));
    std::vector<std::byte> bytes(values.size() * sizeof(uint16_t));
    // The reference itself: the table of the scalar level has no BF16.
    kernels::ScalarKernels().f32_to_bf16_row(values.data(), values.size(), reinterpret_cast<uint16_t*>(bytes.data()));
    return writer_.AddOwned(name, DType::kBf16, info.shape, std::move(bytes));
  }

  const EncoderConfig& config_;
  const QuantizationPlan& plan_;
  const ModelDirectory& directory_;
  const std::map<std::string, Part> parts_;
  const bool has_factors_;
  std::vector<std::unique_ptr<ModelFile>> files_;
  SafetensorsWriter writer_;
  std::vector<std::string> ignored_;
  std::map<size_t, std::vector<float>> ones_;
};

Json QuantizationConfig(const QuantizationPlan& plan, const std::vector<std::string>& ignored) {
  const bool is_fixed = std::any_of(plan.linears.begin(), plan.linears.end(), [](const LinearPlan& linear) {
    return linear.input.range == kernels::RowRange::kFixed;
  });
  const Json weights = {
      {"num_bits", 8}, {"type", "int"}, {"symmetric", true}, {"strategy", "channel"}, {"dynamic", false}};
  const Json activations = {{"num_bits", 8},
                            {"type", "int"},
                            {"symmetric", false},
                            {"strategy", is_fixed ? "tensor" : "token"},
                            {"dynamic", !is_fixed}};
  return {{"quant_method", HasFactors(plan) ? "octet" : "compressed-tensors"},
          {"format", "int-quantized"},
          {"quantization_status", "compressed"},
          {"config_groups",
           {{"group_0", {{"targets", {"Linear"}}, {"weights", weights}, {"input_activations", activations}}}}},
          {"ignore", ignored}};
}

absl::Status CopySideFile(const ModelDirectory& source, const std::string& name, const StagedDirectory& out) {
  if (!source.Exists(name)) return absl::OkStatus();
  ASSIGN_OR_RETURN(const std::string bytes, source.ReadSmallFile(name, kMaxSideFileBytes));
  return out.WriteText(name, bytes);
}

absl::Status CopySideFiles(const ModelDirectory& source, const StagedDirectory& out) {
  for (const char* name : kSideFiles) RETURN_IF_ERROR(CopySideFile(source, name, out));
  if (!source.Exists(kModulesFile)) return absl::OkStatus();
  ASSIGN_OR_RETURN(const Json modules, ReadJsonArray(source, kModulesFile));
  for (const Json& module : modules) {
    const auto path = module.is_object() ? module.find("path") : module.end();
    if (path == module.end() || !path->is_string() || path->get_ref<const std::string&>().empty()) continue;
    RETURN_IF_ERROR(CopySideFile(source, absl::StrCat(path->get<std::string>(), "/", kConfigFile), out));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status WriteQuantizedDirectory(const std::string& source, const QuantizationPlan& plan, absl::string_view method,
                                     const StagedDirectory& out) {
  ASSIGN_OR_RETURN(const auto directory, ModelDirectory::Open(source));
  ASSIGN_OR_RETURN(const EncoderConfig config, ReadEncoderConfig(*directory));
  TensorStage tensors(config, plan, *directory);
  RETURN_IF_ERROR(tensors.AddAll());
  out.Remove(kWeightsFile);
  RETURN_IF_ERROR(tensors.writer().Write(out.File(kWeightsFile)));
  RETURN_IF_ERROR(tensors.CheckUnchanged());
  RETURN_IF_ERROR(CopySideFiles(*directory, out));
  ASSIGN_OR_RETURN(Json json, ReadJsonObject(*directory, kConfigFile));
  json["quantization_config"] = QuantizationConfig(plan, tensors.ignored());
  json[kQuantizationMethodKey] = std::string(method.data(), method.size());
  return out.WriteText(kConfigFile, absl::StrCat(json.dump(2), "\n"));
}

}  // namespace octet::model
