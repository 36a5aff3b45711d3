// The steps of a forward pass on a block of rows, by one thread; schedules put them in order (forward_pass.h,
// text_range_pass.h). What crosses blocks is in the workspace, the rest in the thread's scratch. Internal to the
// encoder's files.
#ifndef OCTET_MODEL_PASS_STEPS_H_
#define OCTET_MODEL_PASS_STEPS_H_

#include <cstddef>

#include "absl/functional/function_ref.h"
#include "kernels/linear.h"
#include "model/block_schedule.h"
#include "model/linear_plan.h"
#include "model/packed_batch.h"
#include "model/phase_times.h"

namespace octet::model {

class EmbeddingTable;
class EncoderWorkspace;
struct EncoderState;
struct ThreadScratch;

class PassSteps {
 public:
  // Rows of a block, from `first_row` of it on; y: what a layer made of them, [rows, out_dim], free to be overwritten.
  using UseRows = absl::FunctionRef<void(size_t first_row, size_t rows, float* y)>;

  // All of them must outlive the steps.
  PassSteps(const EncoderState& encoder, const PackedBatch& batch, EncoderWorkspace* workspace);

  // x = LayerNorm(word + position + token type)
  void Embed(const RowBlock& block, ThreadScratch& s) const;
  // q, k, v = x W + b, stored as attention reads them.
  void PrepareAttention(size_t layer_idx, const RowBlock& block, ThreadScratch& s) const;
  // s.block = attention of the block's rows, text by text.
  void Attend(size_t layer_idx, const RowBlock& block, ThreadScratch& s) const;
  // x = LayerNorm(x + s.block W + b); leaves the new rows in s.narrow, as PrepareFeedForward does.
  void AttentionOutput(size_t layer_idx, const RowBlock& block, ThreadScratch& s) const;
  // s.narrow = x
  void PrepareFeedForward(size_t layer_idx, const RowBlock& block, ThreadScratch& s) const;
  // x = LayerNorm(x + activation(x W1 + b1) W2 + b2); takes x from s.narrow.
  void FeedForward(size_t layer_idx, const RowBlock& block, ThreadScratch& s) const;

  // The first part of FeedForward: for all rows of the block, some at a time, `use` of activation(x W1 + b1).
  void Intermediate(size_t layer_idx, const RowBlock& block, ThreadScratch& s, UseRows use) const;

  // The residual stream's row `row_idx`: [hidden_dim].
  float* x(size_t row_idx) const;
  // As EncoderLayer::linear.
  const kernels::Linear& linear(size_t layer_idx, LinearSlot slot) const;

 private:
  size_t TextOfRow(size_t row_idx) const;
  // One product, of up to kMaxProductRows rows of `input`, and `use` of rows W + b, in order and up to kMaxRowsAtOnce at a time.
  // `phase`: of the product.
  void MultiplyRows(const kernels::Linear& linear, Phase phase, const kernels::InputBlock& input, const RowBlock& rows,
                    ThreadScratch& s, UseRows use) const;
  // For all of `rows` rows of `input`, in order and up to kMaxRowsAtOnce at a time: `use` of rows W + b.
  // Multiplied are so many as a product has; the weights, once read, serve the whole block from L2. `phase`: of the
  // products.
  void ForRows(const kernels::Linear& linear, Phase phase, const kernels::InputBlock& input, size_t rows,
               ThreadScratch& s, UseRows use) const;
  void AddLookup(const EmbeddingTable& table, size_t row_idx, float* part, float* x) const;
  // Starts `input` for a layer's rows, and sets `rows` of them, x: [rows, in_dim].
  void StartInput(size_t layer_idx, LinearSlot slot, kernels::InputBlock& input, ThreadScratch& s) const;
  void SetInput(size_t layer_idx, LinearSlot slot, size_t first_row, size_t rows, const float* x,
                kernels::InputBlock& input, ThreadScratch& s) const;

  const EncoderState& encoder_;
  const PackedBatch& batch_;
  EncoderWorkspace& ws_;
  const size_t hidden_;
};

}  // namespace octet::model

#endif  // OCTET_MODEL_PASS_STEPS_H_
