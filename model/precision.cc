#include "model/precision.h"

#include "absl/strings/str_cat.h"
#include "base/check.h"

namespace octet::model {
namespace {

struct PrecisionEntry {
  Precision precision;
  const char* name;
};
constexpr PrecisionEntry kPrecisions[] = {
    {Precision::kInt8, "int8"},
    {Precision::kBf16, "bf16"},
    {Precision::kF32, "f32"},
};

}  // namespace

absl::string_view PrecisionName(Precision precision) {
  for (const PrecisionEntry& entry : kPrecisions) {
    if (entry.precision == precision) return entry.name;
  }
  OCTET_CHECK(false && "not a Precision");
  return "";
}

absl::StatusOr<Precision> ParsePrecision(absl::string_view name) {
  std::string names;
  for (const PrecisionEntry& entry : kPrecisions) {
    if (name == entry.name) return entry.precision;
    absl::StrAppend(&names, names.empty() ? "" : ", ", entry.name);
  }
  return absl::InvalidArgumentError(absl::StrCat("precision: unknown \"", name, "\", valid are ", names));
}

}  // namespace octet::model
