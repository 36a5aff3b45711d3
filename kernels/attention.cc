#include "kernels/attention.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"

namespace octet::kernels {
namespace {

// Query rows that share one pass over a head's keys: two register tiles of six. Their scores for 512
// keys are 24 KB and stay in L1 or L2 for the second product.
constexpr size_t kQueryTile = 12;

}  // namespace

size_t AttentionScratchSize(size_t max_tokens) { return kQueryTile * max_tokens; }

void Attend(const KernelTable& kernels, const AttentionShape& shape, const AttentionRows& rows,
            std::span<float> scratch) {
  OCTET_CHECK(scratch.size() >= AttentionScratchSize(rows.text_tokens));
  const float scale = 1.0f / std::sqrt(static_cast<float>(shape.head_dim));
  float* const scores = scratch.data();  // [tile, text_tokens]
  for (size_t head = 0; head < shape.num_heads; ++head) {
    const size_t first = head * shape.head_dim;
    for (size_t begin = 0; begin < rows.num_queries; begin += kQueryTile) {
      const size_t tile = std::min(kQueryTile, rows.num_queries - begin);
      float* const out = rows.out + begin * rows.out_stride + first;
      kernels.gemm_f32({.a = rows.q + begin * rows.q_stride + first,
                        .lda = rows.q_stride,
                        .b = rows.k_transposed + first * rows.k_stride,
                        .ldb = rows.k_stride,
                        .c = scores,
                        .ldc = rows.text_tokens,
                        .rows = tile,
                        .cols = rows.text_tokens,
                        .depth = shape.head_dim});
      float sums[kQueryTile];
      for (size_t r = 0; r < tile; ++r) {
        sums[r] = kernels.exp_row(scores + r * rows.text_tokens, scale, rows.text_tokens);
      }
      kernels.gemm_f32({.a = scores,
                        .lda = rows.text_tokens,
                        .b = rows.v + first,
                        .ldb = rows.v_stride,
                        .c = out,
                        .ldc = rows.out_stride,
                        .rows = tile,
                        .cols = shape.head_dim,
                        .depth = rows.text_tokens});
      for (size_t r = 0; r < tile; ++r) {
        kernels.scale_row(1.0f / sums[r], out + r * rows.out_stride, shape.head_dim);
      }
    }
  }
}

}  // namespace octet::kernels
