// Runs texts alone and among hostile neighbours and counts the bytes in which their hidden states differ.
// The engine's contract is that none do.
#ifndef OCTET_TESTS_MODEL_ENCODER_INVARIANCE_H_
#define OCTET_TESTS_MODEL_ENCODER_INVARIANCE_H_

#include <cstddef>
#include <memory>
#include <string>

#include "base/cpu_isa.h"
#include "model/activation_range.h"
#include "model/linear_plan.h"
#include "model/precision.h"

namespace octet::model {

struct InvarianceOptions {
  std::string directory;
  Precision precision = Precision::kInt8;
  Isa isa = Isa::kScalar;
  size_t num_texts = 100;  // random texts, lengths 1 to the model's limit
  size_t max_batch_tokens = 700;
  std::shared_ptr<const QuantizationPlan> plan = nullptr;
  ActivationRange activation_range = ActivationRange::kPerToken;
};

struct InvarianceResult {
  size_t compared_texts = 0;  // each in several batches, teams and block sizes
  size_t differing_bytes = 0;
};

// Each text is first run alone on one thread. Then batches of texts in random order, with neighbours of
// maximal length, of one token, and of the tokens with the largest embeddings, run on 1, 2 and 3 threads
// with the computed block size and with fixed ones that give every tail. Aborts when a model does not load.
InvarianceResult RunInvariance(const InvarianceOptions& options);

}  // namespace octet::model

#endif  // OCTET_TESTS_MODEL_ENCODER_INVARIANCE_H_
