// A short name for everything that decides the bits of a model's answers: weights, how they are quantized, the
// settings and tokenizer that come with them, and the arithmetic. Two answers to one text with one fingerprint are the
// same, whenever and wherever they were computed; so a decision can be audited later. Pure function.
#ifndef OCTET_MODEL_FINGERPRINT_H_
#define OCTET_MODEL_FINGERPRINT_H_

#include <string>

#include "base/cpu_isa.h"
#include "model/precision.h"

namespace octet::model {

// Raised with every change of a kernel, or of what loading decides, that changes the bits of any answer: when
// tests/golden/vector_bits.json must be made again.
inline constexpr int kArithmeticRevision = 2;

struct FingerprintParts {
  std::string weights_version;  // ModelInfo::version
  Precision precision = Precision::kInt8;
  Isa isa = Isa::kScalar;
  std::string config, tokenizer;  // SHA-256, hex, of config.json, and of tokenizer.json or no bytes
  std::string settings;           // what else the directory says: task, pooling, length limit
};

// 16 hex digits. Instruction sets with the same bits share one: every level from AVX2 up in int8 and f32
// (docs/decisions/0006).
std::string Fingerprint(const FingerprintParts& parts);

}  // namespace octet::model

#endif  // OCTET_MODEL_FINGERPRINT_H_
