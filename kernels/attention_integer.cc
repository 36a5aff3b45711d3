// Attention in integers. Queries, keys and values have a scale per row and head. Scores are exact sums; the
// softmax multiplies its weights by the scales of the values they are for and rounds them to integers again, so
// that the second product is exact too (KernelTable::softmax_s16).
#include <algorithm>
#include <bit>
#include <cmath>
#include <type_traits>
#include <vector>

#include "base/aligned_buffer.h"
#include "base/check.h"
#include "base/rounding.h"
#include "kernels/attention_kinds.h"
#include "kernels/int8_matmul.h"

namespace octet::kernels {
namespace {

// Queries of a tile, whose softmax they take together: the more, the less its steps wait for each other, as long as scores and
// weights of a text's keys stay in L1.
constexpr size_t kMaxTile = kMaxSoftmaxRows, kMaxTokensOfMaxTile = 160;

size_t MaxTile(size_t tokens) { return tokens <= kMaxTokensOfMaxTile ? kMaxTile : 12; }

// Where parts of a thread's scratch memory begin, in bytes, each on a cache line. `tokens`: of the text.
struct ScratchLayout {
  size_t v, key_parts, value_parts, scores, p, sums, size;
  size_t stride;  // of scores and p

  ScratchLayout(const AttentionShape& shape, size_t tokens) {
    size = 0;
    const auto take = [this](size_t bytes) {
      const size_t begin = size;
      size += RoundUp(bytes, kCacheLineBytes);
      return begin;
    };
    stride = RoundUp(tokens, kScoreCols);
    const size_t tile = MaxTile(tokens);
    static_assert(kScoreCols % kPaddedCols == 0 && kScoreCols * sizeof(int16_t) % kCacheLineBytes == 0);
    v = take(RoundUp(tokens, 2) * shape.head_dim * sizeof(int16_t));
    key_parts = take(stride * sizeof(int16_t));
    value_parts = take(stride * sizeof(int16_t));
    scores = take(tile * stride * sizeof(int32_t));
    p = take(tile * stride * sizeof(int16_t));
    sums = take(tile * shape.head_dim * sizeof(int32_t));
  }
};

template <typename T>
const int32_t* Words(const T* integers) {
  return reinterpret_cast<const int32_t*>(integers);
}

// Queries and keys as pairs of 16 bits.
struct PairScores {
  using Query = int16_t;
  using Key = int16_t;
  static constexpr auto kQuantizeQueries = &KernelTable::quantize_heads_s16;
  static constexpr auto kQuantizeKeys = &KernelTable::quantize_heads_s16;

  static void Multiply(const KernelTable& kernels, const GemmArgs<int32_t>& args, const int32_t*) {
    kernels.gemm_s16(args);
  }
};

// Of 8 bits, as quads. An instruction wants unsigned queries: what they are above their integers comes into every sum, times the
// sum of the key, and is taken out again.
struct QuadScores {
  using Query = uint8_t;
  using Key = int8_t;
  static constexpr auto kQuantizeQueries = &KernelTable::quantize_heads_u8;
  static constexpr auto kQuantizeKeys = &KernelTable::quantize_heads_s8;

  static void Multiply(const KernelTable& kernels, const GemmArgs<int32_t>& args, const int32_t* less) {
    kernels.gemm_u8s8_quads({args, less});
  }
};

// Integers in one word of 32 bits.
template <class Scores>
constexpr size_t kGroup = sizeof(int32_t) / sizeof(typename Scores::Key);
template <class Scores>
constexpr bool kHasOffset = std::is_same_v<typename Scores::Query, uint8_t>;

bool HasQuads(AttentionKind kind, const KernelTable& kernels) {
  return kind == AttentionKind::kS8 && kernels.gemm_u8s8_quads != nullptr;
}

// The largest |q| and |k|: products of head_dim pairs of them fit s32; of no more than 8 bits where the kind says so, on every
// level.
float ScoreLimit(AttentionKind kind, const AttentionShape& shape) {
  if (kind == AttentionKind::kS8) return 127;
  const double most = std::sqrt(2147483647.0 / static_cast<double>(shape.head_dim));
  return static_cast<float>(std::min(std::floor(most), 32767.0));
}

// How far the largest score may be shifted to the left in s32.
int ScoreShift(float score_limit, const AttentionShape& shape) {
  const auto most = static_cast<uint64_t>(score_limit) * static_cast<uint64_t>(score_limit) * shape.head_dim;
  return 31 - std::bit_width(most);
}

template <class Scores>
class IntegerAttentionInputs final : public AttentionInputs {
 public:
  IntegerAttentionInputs(AttentionKind kind, const KernelTable& kernels, const AttentionShape& shape, size_t max_tokens)
      : kernels_(kernels),
        shape_(shape),
        score_limit_(ScoreLimit(kind, shape)),
        score_shift_(ScoreShift(score_limit_, shape)),
        head_words_(DivideUp(shape.head_dim, kGroup<Scores>)),
        stride_(KeyStride(max_tokens)),
        q_(max_tokens * row_size()),
        k_transposed_(row_size() * stride_),
        v_(max_tokens * shape.hidden_dim()),
        q_scales_(shape.num_heads * stride_),
        k_scales_(shape.num_heads * stride_),
        v_scales_(shape.num_heads * stride_),
        key_offsets_(kHasOffset<Scores> ? shape.num_heads * stride_ : 0) {
    q_.Zero();
    k_transposed_.Zero();
    v_.Zero();
    q_scales_.Zero();
    k_scales_.Zero();
    v_scales_.Zero();
    key_offsets_.Zero();
  }

  void StoreRows(Projection projection, size_t block_begin, size_t first_row, size_t rows, const float* x,
                 std::span<float> scratch) override {
    const size_t token = block_begin + first_row, hidden = shape_.hidden_dim();
    switch (projection) {
      case Projection::kQuery:
        return (kernels_.*Scores::kQuantizeQueries)(
            Heads(x, rows, score_limit_, q_.data() + token * row_size(), q_scales_.data() + token));
      case Projection::kKey:
        return (kernels_.*Scores::kQuantizeKeys)(
            Heads(x, rows, score_limit_, BlockKey(first_row, scratch), k_scales_.data() + token));
      case Projection::kValue:
        return kernels_.quantize_heads_s16(
            Heads(x, rows, kValueLimitS16, v_.data() + token * hidden, v_scales_.data() + token));
    }
  }

  void PlaceKeys(size_t block_begin, size_t num_rows, std::span<float> scratch) override {
    const size_t row_words = shape_.num_heads * head_words_;
    kernels_.transpose(reinterpret_cast<const float*>(BlockKey(0, scratch)), row_words, num_rows, row_words,
                       reinterpret_cast<float*>(k_transposed_.data()) + block_begin, stride_);
    if constexpr (kHasOffset<Scores>) {
      for (size_t head = 0; head < shape_.num_heads; ++head) {
        kernels_.gemm_u8s8_quads({{.a = Words(offsets_.data()),
                                   .lda = head_words_,
                                   .b = Keys(head, block_begin),
                                   .ldb = stride_,
                                   .c = key_offsets_.data() + head * stride_ + block_begin,
                                   .ldc = num_rows,
                                   .rows = 1,
                                   .cols = num_rows,
                                   .depth = head_words_},
                                  nullptr});
      }
    }
  }

  void Attend(const AttentionQueries& queries, std::span<float> scratch) const override {
    const ScratchLayout layout(shape_, queries.text_tokens);
    OCTET_CHECK(scratch.size_bytes() >= layout.size);
    auto* const memory = reinterpret_cast<std::byte*>(scratch.data());
    auto* const v = reinterpret_cast<int16_t*>(memory + layout.v);                  // [text_tokens / 2, head_dim, 2]
    auto* const key_parts = reinterpret_cast<int16_t*>(memory + layout.key_parts);  // [stride]
    auto* const value_parts = reinterpret_cast<int16_t*>(memory + layout.value_parts);  // [stride]
    auto* const scores = reinterpret_cast<int32_t*>(memory + layout.scores);            // [tile, stride]
    auto* const p = reinterpret_cast<int16_t*>(memory + layout.p);                      // [tile, stride]
    auto* const sums = reinterpret_cast<int32_t*>(memory + layout.sums);                // [tile, head_dim]
    const size_t hidden = shape_.hidden_dim(), head_dim = shape_.head_dim, tokens = queries.text_tokens;
    const float scale = 1.0f / std::sqrt(static_cast<float>(head_dim));
    const size_t num_pairs = (tokens + 1) / 2;
    // Tiles of nearly one size.
    const size_t tile_rows = DivideUp(queries.num_queries, DivideUp(queries.num_queries, MaxTile(tokens)));
    for (size_t head = 0; head < shape_.num_heads; ++head) {
      const size_t first = head * head_dim, scales = head * stride_;
      kernels_.interleave_rows_s16(v_.data() + queries.text_begin * hidden + first, hidden, tokens, head_dim, v);
      const RelativeScales keys = Relative(k_scales_.data() + scales + queries.text_begin, tokens, key_parts);
      const RelativeScales values = Relative(v_scales_.data() + scales + queries.text_begin, tokens, value_parts);
      for (size_t begin = 0; begin < queries.num_queries; begin += tile_rows) {
        const size_t tile = std::min(tile_rows, queries.num_queries - begin), row = queries.first_row + begin;
        Scores::Multiply(kernels_,
                         {.a = Words(q_.data() + row * row_size()) + head * head_words_,
                          .lda = shape_.num_heads * head_words_,
                          .b = Keys(head, queries.text_begin),
                          .ldb = stride_,
                          .c = scores,
                          .ldc = layout.stride,
                          .rows = tile,
                          .cols = tokens,
                          .depth = head_words_,
                          .pads_c = true},
                         kHasOffset<Scores> ? key_offsets_.data() + scales + queries.text_begin : nullptr);
        float query_scales[kMaxTile], factors[kMaxTile];
        for (size_t r = 0; r < tile; ++r) query_scales[r] = q_scales_.data()[scales + row + r] * scale;
        kernels_.softmax_s16({.scores = scores,
                              .score_shift = score_shift_,
                              .queries = query_scales,
                              .keys = keys,
                              .values = values,
                              .rows = tile,
                              .n = tokens,
                              .stride = layout.stride,
                              .p = p,
                              .factors = factors});
        kernels_.gemm_s16({.a = Words(p),
                           .lda = layout.stride / 2,
                           .b = Words(v),
                           .ldb = head_dim,
                           .c = sums,
                           .ldc = head_dim,
                           .rows = tile,
                           .cols = head_dim,
                           .depth = num_pairs});
        kernels_.scale_s32_rows(sums, factors, tile, head_dim, queries.out + begin * hidden + first, hidden);
      }
    }
  }

  static uint64_t Bytes(const AttentionShape& shape, size_t max_tokens) {
    const uint64_t stride = KeyStride(max_tokens), heads = shape.num_heads;
    const uint64_t row_bytes = heads * DivideUp(shape.head_dim, kGroup<Scores>) * sizeof(int32_t);
    return row_bytes * (max_tokens + stride) + uint64_t{shape.hidden_dim()} * max_tokens * sizeof(int16_t) +
           heads * stride * (3 * sizeof(float) + (kHasOffset<Scores> ? sizeof(int32_t) : 0));
  }

 private:
  using Query = typename Scores::Query;
  using Key = typename Scores::Key;

  // Integers of a head and of a row, of queries and of keys; past head_dim they are 0.
  size_t head_size() const { return HeadSize<Key>(shape_.head_dim); }
  size_t row_size() const { return shape_.num_heads * head_size(); }

  RelativeScales Relative(const float* scales, size_t n, int16_t* parts) const {
    return {.parts = parts, .largest = kernels_.relative_scales(scales, n, parts)};
  }

  // A row of the block's keys in scratch memory, [kMaxProductRows, row_size].
  Key* BlockKey(size_t row, std::span<float> scratch) const {
    return reinterpret_cast<Key*>(scratch.data()) + row * row_size();
  }

  // Keys of a head from `row` on, [head_words, stride].
  const int32_t* Keys(size_t head, size_t row) const {
    return Words(k_transposed_.data()) + head * head_words_ * stride_ + row;
  }

  template <typename T>
  HeadRows<T> Heads(const float* x, size_t rows, float limit, T* q, float* scales) const {
    return {.x = x,
            .rows = rows,
            .num_heads = shape_.num_heads,
            .head_dim = shape_.head_dim,
            .limit = limit,
            .q = q,
            .scales = scales,
            .scale_stride = stride_};
  }

  const KernelTable& kernels_;
  const AttentionShape shape_;
  const float score_limit_;
  const int score_shift_;
  const size_t head_words_;
  const size_t stride_;
  AlignedBuffer<Query> q_;                               // [max_tokens, row_size]
  AlignedBuffer<Key> k_transposed_;                      // [row_size / kGroup, stride, kGroup]
  AlignedBuffer<int16_t> v_;                             // [max_tokens, hidden_dim]
  AlignedBuffer<float> q_scales_, k_scales_, v_scales_;  // [num_heads, stride]
  AlignedBuffer<int32_t> key_offsets_;                   // [num_heads, stride]: kHeadOffsetU8 times the sum of a key
  // A query that is all offset.
  const std::vector<uint8_t> offsets_ = std::vector<uint8_t>(head_size(), uint8_t{kHeadOffsetU8});
};

}  // namespace

std::unique_ptr<AttentionInputs> MakeIntegerAttentionInputs(AttentionKind kind, const KernelTable& kernels,
                                                            const AttentionShape& shape, size_t max_tokens) {
  if (HasQuads(kind, kernels)) {
    return std::make_unique<IntegerAttentionInputs<QuadScores>>(kind, kernels, shape, max_tokens);
  }
  return std::make_unique<IntegerAttentionInputs<PairScores>>(kind, kernels, shape, max_tokens);
}

uint64_t IntegerAttentionInputsBytes(AttentionKind kind, const KernelTable& kernels, const AttentionShape& shape,
                                     size_t max_tokens) {
  return HasQuads(kind, kernels) ? IntegerAttentionInputs<QuadScores>::Bytes(shape, max_tokens)
                                 : IntegerAttentionInputs<PairScores>::Bytes(shape, max_tokens);
}

size_t IntegerAttendScratch(const AttentionShape& shape, size_t max_text_tokens) {
  const auto bytes = [&](size_t tokens) { return ScratchLayout(shape, tokens).size; };
  return std::max(bytes(max_text_tokens), bytes(std::min(max_text_tokens, kMaxTokensOfMaxTile))) / sizeof(float);
}

}  // namespace octet::kernels
