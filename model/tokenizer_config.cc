#include "model/tokenizer_config.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "model/strict_json.h"

namespace octet::model {
namespace {

constexpr char kFile[] = "tokenizer_config.json";
// Some list every added token and a template or two: hundreds of kilobytes.
constexpr uint64_t kMaxBytes = 8 << 20;
// Above any position table; `transformers` takes such numbers for "no limit" as well.
constexpr double kNoLimit = 1 << 30;

}  // namespace

absl::StatusOr<std::optional<uint32_t>> ReadModelMaxLength(const ModelDirectory& directory) {
  if (!directory.Exists(kFile)) return std::nullopt;
  ASSIGN_OR_RETURN(const std::string text, directory.ReadSmallFile(kFile, kMaxBytes));
  ASSIGN_OR_RETURN(const Json object, ParseStrictJson(text, kFile, {.rounds_huge_integers = true}));
  if (!object.is_object()) return absl::InvalidArgumentError(absl::StrCat(kFile, ": not an object"));
  const JsonReader json(kFile, object);
  const Json* const length = json.Find("model_max_length");
  if (length == nullptr) return std::nullopt;
  if (length->is_number() && length->get<double>() >= kNoLimit) return std::nullopt;
  return json.Integer("model_max_length", 1, static_cast<uint32_t>(kNoLimit));
}

}  // namespace octet::model
