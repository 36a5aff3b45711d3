#include "model/fingerprint.h"

#include <gtest/gtest.h>

#include <functional>
#include <set>

namespace octet::model {
namespace {

FingerprintParts Parts() {
  return {.weights_version = "0123456789ab",
          .precision = Precision::kInt8,
          .isa = Isa::kAvx2,
          .config = "{}",
          .tokenizer = "{\"a\": 1}",
          .settings = "mean"};
}

TEST(FingerprintTest, IsSixteenDigitsAndTheSameForTheSame) {
  EXPECT_EQ(Fingerprint(Parts()).size(), 16u);
  EXPECT_EQ(Fingerprint(Parts()), Fingerprint(Parts()));
}

TEST(FingerprintTest, EveryPartCounts) {
  std::set<std::string> seen = {Fingerprint(Parts())};
  const std::function<void(FingerprintParts&)> changes[] = {
      [](FingerprintParts& parts) { parts.weights_version = "0123456789ac"; },
      [](FingerprintParts& parts) { parts.precision = Precision::kF32; },
      [](FingerprintParts& parts) { parts.isa = Isa::kScalar; },
      [](FingerprintParts& parts) { parts.config = "{\"quantization_config\": {}}"; },
      [](FingerprintParts& parts) { parts.tokenizer = ""; },
      [](FingerprintParts& parts) { parts.settings = "cls"; },
      [](FingerprintParts& parts) { std::swap(parts.config, parts.tokenizer); },
  };
  for (const auto& change : changes) {
    FingerprintParts parts = Parts();
    change(parts);
    EXPECT_TRUE(seen.insert(Fingerprint(parts)).second);
  }
}

TEST(FingerprintTest, LevelsWithTheSameBitsShareOne) {
  FingerprintParts parts = Parts();
  const std::string avx2 = Fingerprint(parts);
  parts.isa = Isa::kAvx512Vnni;
  EXPECT_EQ(Fingerprint(parts), avx2);
  parts.precision = Precision::kBf16;
  const std::string vnni = Fingerprint(parts);
  parts.isa = Isa::kAvx512Bf16;
  EXPECT_NE(Fingerprint(parts), vnni);
}

}  // namespace
}  // namespace octet::model
