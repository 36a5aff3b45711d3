// What comes after the encoder: from the hidden states of a batch to each text's own values. One class per task;
// whatever carries outputs to callers needs to know how many values a text has and nothing else, so a head with
// an output per token fits in as one with an output per text does. Immutable after loading; Run is thread-safe
// given one workspace per caller.
#ifndef OCTET_MODEL_HEAD_H_
#define OCTET_MODEL_HEAD_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "base/matrix_view.h"
#include "model/packed_batch.h"

namespace octet::model {

// Scratch of one caller of Run, made by the head that uses it.
class HeadWorkspace {
 public:
  virtual ~HeadWorkspace() = default;
};

class Head {
 public:
  virtual ~Head() = default;

  // f32 values that a text of `num_tokens` tokens yields: the same for all, or in proportion to the tokens.
  virtual size_t OutputSize(size_t num_tokens) const = 0;
  // Kept: weights of this head alone.
  virtual uint64_t weight_bytes() const = 0;
  // Memory is touched here.
  virtual std::unique_ptr<HeadWorkspace> NewWorkspace() const = 0;

  // hidden_states: [num_tokens, hidden_dim] of `batch`, whose form Encoder::Forward has checked. outputs: the
  // texts' values end to end, in order; its size is the sum of their OutputSize. The values of a text have the
  // same bits whatever else is in the batch.
  virtual void Run(const PackedBatch& batch, MatrixView<const float> hidden_states, HeadWorkspace* workspace,
                   std::span<float> outputs) const = 0;
};

}  // namespace octet::model

#endif  // OCTET_MODEL_HEAD_H_
