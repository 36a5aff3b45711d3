#include "model/activation_range.h"

#include "absl/strings/str_cat.h"

namespace octet::model {
namespace {

constexpr struct {
  ActivationRange range;
  const char* name;
} kNames[] = {
    {ActivationRange::kPerToken, "per_token"},
    {ActivationRange::kPerText, "per_text"},
    {ActivationRange::kMovingAverage, "moving_average"},
};

}  // namespace

absl::string_view ActivationRangeName(ActivationRange range) {
  for (const auto& entry : kNames) {
    if (entry.range == range) return entry.name;
  }
  return "";
}

absl::StatusOr<ActivationRange> ParseActivationRange(absl::string_view name) {
  std::string known;
  for (const auto& entry : kNames) {
    if (name == entry.name) return entry.range;
    absl::StrAppend(&known, known.empty() ? "" : ", ", entry.name);
  }
  return absl::InvalidArgumentError(absl::StrCat("activation_range: unknown, allowed are ", known));
}

}  // namespace octet::model
