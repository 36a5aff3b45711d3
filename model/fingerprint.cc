#include "model/fingerprint.h"

#include "absl/strings/str_cat.h"
#include "model/sha256.h"

namespace octet::model {
namespace {

// What of the instruction set the bits depend on.
absl::string_view LevelName(Precision precision, Isa isa) {
  return precision == Precision::kBf16 || isa == Isa::kScalar ? IsaName(isa) : "vector";
}

}  // namespace

std::string Fingerprint(const FingerprintParts& parts) {
  constexpr size_t kDigits = 16;
  return Sha256Hex(absl::StrCat("octet arithmetic ", kArithmeticRevision, "\nweights ", parts.weights_version,
                                "\nprecision ", PrecisionName(parts.precision), "\nlevel ",
                                LevelName(parts.precision, parts.isa), "\nconfig ", parts.config, "\ntokenizer ",
                                parts.tokenizer, "\nsettings ", parts.settings, "\n"))
      .substr(0, kDigits);
}

}  // namespace octet::model
