#include <algorithm>
#include <cmath>

#include "base/aligned_buffer.h"
#include "base/check.h"
#include "kernels/attention_kinds.h"

namespace octet::kernels {
namespace {

// Query rows that share one pass over a head's keys: two register tiles of six. Their scores for 512 keys are 24 KB
// and stay in L1 or L2 for the second product.
constexpr size_t kQueryTile = 12;

class F32AttentionInputs final : public AttentionInputs {
 public:
  F32AttentionInputs(const KernelTable& kernels, const AttentionShape& shape, size_t max_tokens)
      : kernels_(kernels),
        shape_(shape),
        k_stride_(KeyStride(max_tokens)),
        q_(max_tokens * shape.hidden_dim()),
        k_transposed_(shape.hidden_dim() * k_stride_),
        v_(max_tokens * shape.hidden_dim()) {
    q_.Zero();
    k_transposed_.Zero();
    v_.Zero();
  }

  void StoreRows(Projection projection, size_t block_begin, size_t first_row, size_t rows, const float* x,
                 std::span<float> scratch) override {
    const size_t hidden = shape_.hidden_dim();
    const auto store = [&](float* to) { std::copy_n(x, rows * hidden, to + first_row * hidden); };
    switch (projection) {
      case Projection::kQuery:
        return store(q_.data() + block_begin * hidden);
      case Projection::kKey:
        return store(scratch.data());
      case Projection::kValue:
        return store(v_.data() + block_begin * hidden);
    }
  }

  void PlaceKeys(size_t block_begin, size_t num_rows, std::span<float> scratch) override {
    const size_t hidden = shape_.hidden_dim();
    kernels_.transpose(scratch.data(), hidden, num_rows, hidden, k_transposed_.data() + block_begin, k_stride_);
  }

  void Attend(const AttentionQueries& queries, std::span<float> scratch) const override {
    OCTET_CHECK(scratch.size() >= F32AttendScratch(queries.text_tokens));
    const size_t hidden = shape_.hidden_dim(), tokens = queries.text_tokens;
    const float scale = 1.0f / std::sqrt(static_cast<float>(shape_.head_dim));
    float* const scores = scratch.data();  // [tile, tokens]
    for (size_t first = 0; first < hidden; first += shape_.head_dim) {
      for (size_t begin = 0; begin < queries.num_queries; begin += kQueryTile) {
        const size_t tile = std::min(kQueryTile, queries.num_queries - begin);
        float* const out = queries.out + begin * hidden + first;
        kernels_.gemm_f32({.a = q_.data() + (queries.first_row + begin) * hidden + first,
                           .lda = hidden,
                           .b = k_transposed_.data() + first * k_stride_ + queries.text_begin,
                           .ldb = k_stride_,
                           .c = scores,
                           .ldc = tokens,
                           .rows = tile,
                           .cols = tokens,
                           .depth = shape_.head_dim});
        float sums[kQueryTile];
        for (size_t r = 0; r < tile; ++r) sums[r] = kernels_.exp_row(scores + r * tokens, scale, tokens);
        kernels_.gemm_f32({.a = scores,
                           .lda = tokens,
                           .b = v_.data() + queries.text_begin * hidden + first,
                           .ldb = hidden,
                           .c = out,
                           .ldc = hidden,
                           .rows = tile,
                           .cols = shape_.head_dim,
                           .depth = tokens});
        for (size_t r = 0; r < tile; ++r) kernels_.scale_row(1.0f / sums[r], out + r * hidden, shape_.head_dim);
      }
    }
  }

 private:
  const KernelTable& kernels_;
  const AttentionShape shape_;
  const size_t k_stride_;
  AlignedBuffer<float> q_;             // [max_tokens, hidden_dim]
  AlignedBuffer<float> k_transposed_;  // [hidden_dim, k_stride]
  AlignedBuffer<float> v_;             // [max_tokens, hidden_dim]
};

}  // namespace

std::unique_ptr<AttentionInputs> MakeF32AttentionInputs(const KernelTable& kernels, const AttentionShape& shape,
                                                        size_t max_tokens) {
  return std::make_unique<F32AttentionInputs>(kernels, shape, max_tokens);
}

uint64_t F32AttentionInputsBytes(const AttentionShape& shape, size_t max_tokens) {
  return uint64_t{shape.hidden_dim()} * (KeyStride(max_tokens) + 2 * max_tokens) * sizeof(float);
}

size_t F32AttendScratch(size_t max_text_tokens) { return kQueryTile * max_text_tokens; }

}  // namespace octet::kernels
