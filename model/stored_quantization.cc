#include "model/stored_quantization.h"

#include <algorithm>
#include <initializer_list>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "base/status_macros.h"

namespace octet::model {
namespace {

constexpr char kKey[] = "quantization_config";
constexpr size_t kMaxIgnored = 100'000;

// An object inside another one, read with its place in every error.
class Section {
 public:
  Section(std::string where, const Json& object) : where_(std::move(where)), object_(object), json_(where_, object) {}

  const JsonReader& json() const { return json_; }

  absl::StatusOr<Section> Object(absl::string_view key) const {
    const Json* const value = json_.Find(key);
    if (value == nullptr || !value->is_object()) return json_.Error(key, "an object");
    return Section(absl::StrCat(where_, ": ", key), *value);
  }

  absl::Status RefuseUnless(absl::string_view key, bool is_fine, absl::string_view allowed) const {
    return is_fine ? absl::OkStatus() : json_.Error(key, allowed);
  }
  // The member of that name, absent or null counting as `fallback`, must be one of `allowed`.
  absl::StatusOr<std::string> OneOf(absl::string_view key, const std::string& fallback,
                                    std::initializer_list<absl::string_view> allowed) const {
    ASSIGN_OR_RETURN(std::string value, json_.String(key, fallback));
    for (const absl::string_view candidate : allowed) {
      if (value == candidate) return value;
    }
    return json_.Error(key, absl::StrJoin(allowed, " or ", [](std::string* out, absl::string_view name) {
                         absl::StrAppend(out, "\"", name, "\"");
                       }));
  }
  const Json& object() const { return object_; }

 private:
  std::string where_;
  const Json& object_;
  JsonReader json_;
};

absl::Status RefuseUnknownKeys(const Section& section, const std::set<std::string>& known) {
  for (const auto& [key, value] : section.object().items()) {
    // What is null or empty asks for nothing.
    if (known.count(key) != 0 || value.is_null() || value.empty()) continue;
    return section.json().Error(key, absl::StrCat("absent; known are ", absl::StrJoin(known, ", ")));
  }
  return absl::OkStatus();
}

// Fit for a log line.
bool IsPlainName(absl::string_view name) {
  constexpr size_t kMaxBytes = 32;
  return name.size() <= kMaxBytes && std::all_of(name.begin(), name.end(), [](char c) {
           return absl::ascii_islower(c) || absl::ascii_isdigit(c) || c == '_' || c == '-';
         });
}

// What weights and activations have in common: eight-bit whole numbers.
absl::Status CheckEightBits(const Section& args) {
  RETURN_IF_ERROR(RefuseUnknownKeys(args, {"num_bits", "type", "symmetric", "strategy", "dynamic", "observer",
                                           "observer_kwargs", "actorder", "scale_dtype", "zp_dtype"}));
  ASSIGN_OR_RETURN(const uint32_t num_bits, args.json().Integer("num_bits", 1, 64, 8));
  RETURN_IF_ERROR(args.RefuseUnless("num_bits", num_bits == 8, "8"));
  return args.OneOf("type", "int", {"int"}).status();
}

absl::Status CheckWeights(const Section& weights) {
  RETURN_IF_ERROR(CheckEightBits(weights));
  RETURN_IF_ERROR(weights.OneOf("strategy", "tensor", {"channel", "tensor"}).status());
  ASSIGN_OR_RETURN(const bool is_symmetric, weights.json().Bool("symmetric", true));
  RETURN_IF_ERROR(weights.RefuseUnless("symmetric", is_symmetric, "true"));
  ASSIGN_OR_RETURN(const bool is_dynamic, weights.json().Bool("dynamic", false));
  return weights.RefuseUnless("dynamic", !is_dynamic, "false");
}

absl::StatusOr<kernels::RowRange> ReadActivations(const Section& activations) {
  RETURN_IF_ERROR(CheckEightBits(activations));
  ASSIGN_OR_RETURN(const bool is_dynamic, activations.json().Bool("dynamic", false));
  ASSIGN_OR_RETURN(const bool is_symmetric, activations.json().Bool("symmetric", true));
  // A fixed scale is one number for a layer's whole input; ranges made at run time are one per token.
  RETURN_IF_ERROR(activations.OneOf("strategy", "tensor", {is_dynamic ? "token" : "tensor"}).status());
  if (!is_dynamic) return kernels::RowRange::kFixed;
  return is_symmetric ? kernels::RowRange::kSymmetric : kernels::RowRange::kAsymmetric;
}

// The one group of layers that share a scheme.
absl::StatusOr<kernels::RowRange> ReadGroup(const Section& quantization) {
  ASSIGN_OR_RETURN(const Section groups, quantization.Object("config_groups"));
  RETURN_IF_ERROR(
      quantization.RefuseUnless("config_groups", groups.object().size() == 1, "one group for all linear layers"));
  ASSIGN_OR_RETURN(const Section group, groups.Object(groups.object().begin().key()));
  RETURN_IF_ERROR(RefuseUnknownKeys(group, {"targets", "weights", "input_activations", "format"}));
  const Json* const targets = group.json().Find("targets");
  RETURN_IF_ERROR(
      group.RefuseUnless("targets", targets != nullptr && *targets == Json::array({"Linear"}), "[\"Linear\"]"));
  ASSIGN_OR_RETURN(const Section weights, group.Object("weights"));
  RETURN_IF_ERROR(CheckWeights(weights));
  ASSIGN_OR_RETURN(const Section activations, group.Object("input_activations"));
  return ReadActivations(activations);
}

absl::StatusOr<std::set<std::string>> ReadIgnored(const Section& quantization, absl::string_view prefix) {
  std::set<std::string> ignored;
  const Json* const list = quantization.json().Find("ignore");
  if (list == nullptr) return ignored;
  if (!list->is_array() || list->size() > kMaxIgnored) return quantization.json().Error("ignore", "a list of names");
  for (const Json& entry : *list) {
    const std::string* const name = entry.is_string() ? &entry.get_ref<const std::string&>() : nullptr;
    if (name == nullptr || absl::StartsWith(*name, "re:")) {
      return absl::InvalidArgumentError(absl::StrCat("config.json: ", kKey, ": ignore: got ", ShowJson(entry),
                                                     ", allowed are whole names of layers"));
    }
    ignored.emplace(absl::StripPrefix(*name, prefix));
  }
  return ignored;
}

}  // namespace

absl::StatusOr<StoredQuantization> ReadStoredQuantization(const JsonReader& config, absl::string_view prefix) {
  const Json* const object = config.Find(kKey);
  if (object == nullptr || !object->is_object()) return config.Error(kKey, "an object");
  const Section quantization(absl::StrCat("config.json: ", kKey), *object);
  StoredQuantization stored;
  ASSIGN_OR_RETURN(stored.format, quantization.OneOf("quant_method", "", {"compressed-tensors", "octet"}));
  RETURN_IF_ERROR(RefuseUnknownKeys(quantization, {"quant_method", "config_groups", "format", "quantization_status",
                                                   "ignore", "version", "global_compression_ratio"}));
  RETURN_IF_ERROR(quantization.OneOf("format", "int-quantized", {"int-quantized"}).status());
  RETURN_IF_ERROR(quantization.OneOf("quantization_status", "compressed", {"compressed"}).status());
  ASSIGN_OR_RETURN(stored.technique, config.String(kQuantizationMethodKey, "unknown"));
  if (!IsPlainName(stored.technique)) return config.Error(kQuantizationMethodKey, "up to 32 of a-z, 0-9, _ and -");
  ASSIGN_OR_RETURN(stored.activation_range, ReadGroup(quantization));
  ASSIGN_OR_RETURN(stored.ignored, ReadIgnored(quantization, prefix));
  return stored;
}

}  // namespace octet::model
