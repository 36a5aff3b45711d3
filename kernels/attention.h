// Multi-head attention of some query rows of one text over all its rows, f32. Vaswani et al. 2017.
#ifndef OCTET_KERNELS_ATTENTION_H_
#define OCTET_KERNELS_ATTENTION_H_

#include <cstddef>
#include <span>

#include "kernels/kernel_table.h"

namespace octet::kernels {

struct AttentionShape {
  size_t num_heads;
  size_t head_dim;

  size_t hidden_dim() const { return num_heads * head_dim; }
};

// Head h has columns [h * head_dim, (h + 1) * head_dim) of q, v and out, and those rows of k_transposed.
struct AttentionRows {
  const float* q;  // [num_queries, hidden_dim]
  size_t q_stride;
  const float* k_transposed;  // [hidden_dim, text_tokens]
  size_t k_stride;
  const float* v;  // [text_tokens, hidden_dim]
  size_t v_stride;
  float* out;  // [num_queries, hidden_dim]
  size_t out_stride;
  size_t num_queries;
  size_t text_tokens;
};

// Floats of scratch that Attend needs for texts of up to `max_tokens`.
size_t AttentionScratchSize(size_t max_tokens);

// out = softmax(q k^T / sqrt(head_dim)) v for every head. Each query row's bits depend on that row and the
// text's k and v alone. scratch: AttentionScratchSize(text_tokens) floats.
void Attend(const KernelTable& kernels, const AttentionShape& shape, const AttentionRows& rows,
            std::span<float> scratch);

}  // namespace octet::kernels

#endif  // OCTET_KERNELS_ATTENTION_H_
