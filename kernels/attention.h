// Multi-head attention of some query rows of one text over all its rows: softmax(q k^T / sqrt(head_dim)) v for every
// head. Vaswani et al. 2017. In f32, or in integers with exact sums: about twice as fast from VNNI on, with bits
// that are the same on every vector level, and errors far below those of int8 layers (docs/decisions/0008).
#ifndef OCTET_KERNELS_ATTENTION_H_
#define OCTET_KERNELS_ATTENTION_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "kernels/kernel_table.h"

namespace octet::kernels {

enum class AttentionKind {
  kF32,
  kS16,  // integers of 16 bits
  kS8,   // queries and keys of 8 bits; weights and values of 16
};

struct AttentionShape {
  size_t num_heads;
  size_t head_dim;

  size_t hidden_dim() const { return num_heads * head_dim; }
};

// The columns of a layer's output that a token's row of queries, keys or values is: [hidden_dim], head after head.
enum class Projection { kQuery, kKey, kValue };

// Some rows of one text, which has rows [text_begin, text_begin + text_tokens) of the batch. Head h has columns
// [h * head_dim, (h + 1) * head_dim) of `out`.
struct AttentionQueries {
  size_t first_row;    // of the batch
  size_t num_queries;  // >= 1
  size_t text_begin;
  size_t text_tokens;
  float* out;  // [num_queries, hidden_dim], dense
};

// Queries, keys and values of the rows of a batch, in the form in which attention reads them. Rows are written in blocks, of
// which each is one thread's; a text is read once all its rows are there. Holds its memory touched.
class AttentionInputs {
 public:
  // Integers need an even head_dim.
  static std::unique_ptr<AttentionInputs> Create(AttentionKind kind, const KernelTable& kernels,
                                                 const AttentionShape& shape, size_t max_tokens);
  static uint64_t Bytes(AttentionKind kind, const KernelTable& kernels, const AttentionShape& shape, size_t max_tokens);
  // Floats of scratch that a thread needs for StoreRows and PlaceKeys, and for Attend.
  static size_t BlockScratch(const AttentionShape& shape);
  static size_t AttendScratch(AttentionKind kind, const AttentionShape& shape, size_t max_text_tokens);

  virtual ~AttentionInputs() = default;

  // Some rows, from `first_row` on, of the block of rows that begins at `block_begin`; at most kMaxProductRows rows a block.
  // x: [rows, hidden_dim], dense.
  virtual void StoreRows(Projection projection, size_t block_begin, size_t first_row, size_t rows, const float* x,
                         std::span<float> scratch) = 0;
  // After the keys of a block: puts in place what StoreRows left of them in `scratch`.
  virtual void PlaceKeys(size_t block_begin, size_t num_rows, std::span<float> scratch) = 0;

  // Each query row's bits depend on that row and the text's keys and values alone.
  virtual void Attend(const AttentionQueries& queries, std::span<float> scratch) const = 0;
};

}  // namespace octet::kernels

#endif  // OCTET_KERNELS_ATTENTION_H_
