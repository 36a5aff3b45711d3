// One vector per text from its tokens' rows: pooling, and what is done to a pooled vector before it leaves.
#ifndef OCTET_MODEL_EMBEDDING_HEAD_H_
#define OCTET_MODEL_EMBEDDING_HEAD_H_

#include <cstddef>
#include <memory>
#include <span>

#include "kernels/kernel_table.h"
#include "model/head.h"
#include "model/sentence_config.h"

namespace octet::model {

// Yields pooled vectors, not normalized: [hidden_dim] per text.
class EmbeddingHead final : public Head {
 public:
  // `kernels` lives for ever (kernels::KernelsFor).
  EmbeddingHead(const kernels::KernelTable* kernels, Pooling pooling, size_t hidden_dim)
      : kernels_(*kernels), pooling_(pooling), hidden_dim_(hidden_dim) {}

  size_t OutputSize(size_t) const override { return hidden_dim_; }
  uint64_t weight_bytes() const override { return 0; }
  std::unique_ptr<HeadWorkspace> NewWorkspace() const override { return std::make_unique<HeadWorkspace>(); }
  void Run(const PackedBatch& batch, MatrixView<const float> hidden_states, HeadWorkspace* workspace,
           std::span<float> outputs) const override;

 private:
  const kernels::KernelTable& kernels_;
  const Pooling pooling_;
  const size_t hidden_dim_;
};

// Cuts `embedding` to `dimensions` (1..size) and then, if asked, divides it by its Euclidean norm (a zero
// vector stays zero). Returns the number of values kept.
size_t FinishEmbedding(std::span<float> embedding, size_t dimensions, bool normalize);

}  // namespace octet::model

#endif  // OCTET_MODEL_EMBEDDING_HEAD_H_
