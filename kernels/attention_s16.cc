// Attention in 16-bit integers. Queries, keys and values have a scale per row and head. Scores are exact sums; the
// softmax multiplies its weights by the scales of the values they are for and rounds them to integers again, so
// that the second product is exact too (KernelTable::softmax_s16).
#include <algorithm>
#include <cmath>

#include "base/aligned_buffer.h"
#include "base/check.h"
#include "base/rounding.h"
#include "kernels/attention_kinds.h"
#include "kernels/int8_matmul.h"

namespace octet::kernels {
namespace {

// Where parts of a thread's scratch memory begin, in bytes, each on a cache line. `tokens`: of the text, of which
// `queries` are asked for.
struct ScratchLayout {
  size_t q, q_scales, v, scores, p, p_stride, sums, size;

  ScratchLayout(const AttentionShape& shape, size_t tokens, size_t queries) {
    size = 0;
    const auto take = [this](size_t bytes) {
      const size_t begin = size;
      size += RoundUp(bytes, kCacheLineBytes);
      return begin;
    };
    p_stride = RoundUp(tokens, kCacheLineBytes / sizeof(int16_t));
    q = take(queries * shape.hidden_dim() * sizeof(int16_t));
    q_scales = take(queries * shape.num_heads * sizeof(float));
    v = take(RoundUp(tokens, 2) * shape.head_dim * sizeof(int16_t));
    scores = take(kQueryTile * tokens * sizeof(int32_t));
    p = take(kQueryTile * p_stride * sizeof(int16_t));
    sums = take(kQueryTile * shape.head_dim * sizeof(int32_t));
  }
};

// The largest |q| and |k|: products of head_dim pairs of them fit s32.
float ScoreLimit(const AttentionShape& shape) {
  const double most = std::sqrt(2147483647.0 / static_cast<double>(shape.head_dim));
  return static_cast<float>(std::min(std::floor(most), 32767.0));
}

const int32_t* Pairs(const int16_t* halves) { return reinterpret_cast<const int32_t*>(halves); }

class S16KeysAndValues final : public KeysAndValues {
 public:
  S16KeysAndValues(const KernelTable& kernels, const AttentionShape& shape, size_t max_tokens)
      : kernels_(kernels),
        shape_(shape),
        score_limit_(ScoreLimit(shape)),
        k_stride_(KeyStride(max_tokens)),
        k_transposed_(shape.hidden_dim() * k_stride_),
        v_(max_tokens * shape.hidden_dim()),
        k_scales_(shape.num_heads * k_stride_),
        v_scales_(shape.num_heads * k_stride_) {
    k_transposed_.Zero();
    v_.Zero();
    k_scales_.Zero();
    v_scales_.Zero();
  }

  void StoreRows(size_t block_begin, size_t first_row, const KeyValueRows& rows, std::span<float> scratch) override {
    const size_t token = block_begin + first_row;
    HeadsS16 heads{.x = rows.k,
                   .x_stride = rows.stride,
                   .rows = rows.rows,
                   .num_heads = shape_.num_heads,
                   .head_dim = shape_.head_dim,
                   .limit = score_limit_,
                   .q = BlockKey(first_row, scratch),
                   .scales = k_scales_.data() + token,
                   .scale_stride = k_stride_};
    kernels_.quantize_heads_s16(heads);
    heads.x = rows.v;
    heads.limit = kValueLimitS16;
    heads.q = v_.data() + token * shape_.hidden_dim();
    heads.scales = v_scales_.data() + token;
    kernels_.quantize_heads_s16(heads);
  }

  void StoreBlock(size_t block_begin, size_t num_rows, std::span<float> scratch) override {
    const size_t hidden = shape_.hidden_dim();
    kernels_.transpose(reinterpret_cast<const float*>(BlockKey(0, scratch)), hidden / 2, num_rows, hidden / 2,
                       reinterpret_cast<float*>(k_transposed_.data()) + block_begin, k_stride_);
  }

  void Attend(const AttentionQueries& queries, std::span<float> scratch) const override {
    const ScratchLayout layout(shape_, queries.text_tokens, queries.num_queries);
    OCTET_CHECK(scratch.size_bytes() >= layout.size);
    auto* const memory = reinterpret_cast<std::byte*>(scratch.data());
    auto* const q = reinterpret_cast<int16_t*>(memory + layout.q);              // [num_queries, hidden_dim]
    auto* const q_scales = reinterpret_cast<float*>(memory + layout.q_scales);  // [num_heads, num_queries]
    auto* const v = reinterpret_cast<int16_t*>(memory + layout.v);              // [text_tokens / 2, head_dim, 2]
    auto* const scores = reinterpret_cast<int32_t*>(memory + layout.scores);    // [kQueryTile, text_tokens]
    auto* const p = reinterpret_cast<int16_t*>(memory + layout.p);              // [kQueryTile, p_stride]
    auto* const sums = reinterpret_cast<int32_t*>(memory + layout.sums);        // [kQueryTile, head_dim]
    const size_t hidden = shape_.hidden_dim(), head_dim = shape_.head_dim, tokens = queries.text_tokens;
    const float scale = 1.0f / std::sqrt(static_cast<float>(head_dim));
    const size_t num_pairs = (tokens + 1) / 2;
    kernels_.quantize_heads_s16({.x = queries.q,
                                 .x_stride = hidden,
                                 .rows = queries.num_queries,
                                 .num_heads = shape_.num_heads,
                                 .head_dim = head_dim,
                                 .limit = score_limit_,
                                 .q = q,
                                 .scales = q_scales,
                                 .scale_stride = queries.num_queries});
    // Tiles of nearly one size.
    const size_t tile_rows = DivideUp(queries.num_queries, DivideUp(queries.num_queries, kQueryTile));
    // The last pair of an odd text has half a weight.
    for (size_t r = 0; r < kQueryTile; ++r) p[r * layout.p_stride + 2 * num_pairs - 1] = 0;
    for (size_t head = 0; head < shape_.num_heads; ++head) {
      const size_t first = head * head_dim;
      kernels_.interleave_rows_s16(v_.data() + queries.text_begin * hidden + first, hidden, tokens, head_dim, v);
      for (size_t begin = 0; begin < queries.num_queries; begin += tile_rows) {
        const size_t tile = std::min(tile_rows, queries.num_queries - begin);
        kernels_.gemm_s16({.a = Pairs(q + begin * hidden + first),
                           .lda = hidden / 2,
                           .b = Pairs(k_transposed_.data()) + first / 2 * k_stride_ + queries.text_begin,
                           .ldb = k_stride_,
                           .c = scores,
                           .ldc = tokens,
                           .rows = tile,
                           .cols = tokens,
                           .depth = head_dim / 2});
        float query_scales[kQueryTile], factors[kQueryTile];
        for (size_t r = 0; r < tile; ++r) query_scales[r] = q_scales[head * queries.num_queries + begin + r] * scale;
        kernels_.softmax_s16({.scores = scores,
                              .queries = query_scales,
                              .keys = k_scales_.data() + head * k_stride_ + queries.text_begin,
                              .values = v_scales_.data() + head * k_stride_ + queries.text_begin,
                              .rows = tile,
                              .n = tokens,
                              .p = p,
                              .p_stride = layout.p_stride,
                              .factors = factors});
        kernels_.gemm_s16({.a = Pairs(p),
                           .lda = layout.p_stride / 2,
                           .b = Pairs(v),
                           .ldb = head_dim,
                           .c = sums,
                           .ldc = head_dim,
                           .rows = tile,
                           .cols = head_dim,
                           .depth = num_pairs});
        for (size_t r = 0; r < tile; ++r) {
          kernels_.scale_s32_row(sums + r * head_dim, factors[r], head_dim, queries.out + (begin + r) * hidden + first);
        }
      }
    }
  }

 private:
  // A row of the block's keys in scratch memory, [kMaxProductRows, hidden_dim].
  int16_t* BlockKey(size_t row, std::span<float> scratch) const {
    return reinterpret_cast<int16_t*>(scratch.data()) + row * shape_.hidden_dim();
  }

  const KernelTable& kernels_;
  const AttentionShape shape_;
  const float score_limit_;
  const size_t k_stride_;
  AlignedBuffer<int16_t> k_transposed_;       // [hidden_dim / 2, k_stride, 2]
  AlignedBuffer<int16_t> v_;                  // [max_tokens, hidden_dim]
  AlignedBuffer<float> k_scales_, v_scales_;  // [num_heads, k_stride]
};

}  // namespace

std::unique_ptr<KeysAndValues> MakeS16KeysAndValues(const KernelTable& kernels, const AttentionShape& shape,
                                                    size_t max_tokens) {
  return std::make_unique<S16KeysAndValues>(kernels, shape, max_tokens);
}

uint64_t S16KeysAndValuesBytes(const AttentionShape& shape, size_t max_tokens) {
  const uint64_t stride = KeyStride(max_tokens);
  return uint64_t{shape.hidden_dim()} * (stride + max_tokens) * sizeof(int16_t) +
         2 * shape.num_heads * stride * sizeof(float);
}

size_t S16AttendScratch(const AttentionShape& shape, size_t max_text_tokens, size_t max_queries) {
  return ScratchLayout(shape, max_text_tokens, max_queries).size / sizeof(float);
}

}  // namespace octet::kernels
