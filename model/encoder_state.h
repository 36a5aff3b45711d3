// What a loaded encoder holds. Internal to the encoder's files.
#ifndef OCTET_MODEL_ENCODER_STATE_H_
#define OCTET_MODEL_ENCODER_STATE_H_

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/aligned_buffer.h"
#include "kernels/attention.h"
#include "kernels/kernel_table.h"
#include "kernels/linear.h"
#include "model/encoder.h"
#include "model/encoder_config.h"
#include "model/linear_plan.h"

namespace octet::model {

kernels::LinearKind LinearKindOf(Precision precision);
// The kind of the model's linear layers whose input takes the most memory.
kernels::LinearKind WidestKind(const EncoderConfig& config, const EncoderOptions& options);

// In 16-bit integers, but for f32 models and heads of an odd size.
kernels::AttentionKind AttentionKindOf(const EncoderConfig& config, Precision precision);
kernels::AttentionShape AttentionShapeOf(const EncoderConfig& config);

// Rows of vectors looked up by index. F32, or binary16 where int8 or BF16 arithmetic follows anyway: half
// the memory, and its rounding (2^-11) is far below theirs (docs/decisions/0002).
class EmbeddingTable {
 public:
  // values: [rows, dim]. `half` asks for binary16, which is used if every value fits into it.
  EmbeddingTable(const kernels::KernelTable* kernels, std::span<const float> values, size_t dim, bool half);

  // y: [dim]. row_idx must be inside the table.
  void Lookup(size_t row_idx, float* y) const;
  // Brings a row near that is looked up soon.
  void Prefetch(size_t row_idx) const;
  uint64_t bytes() const { return f32_.bytes() + f16_.bytes(); }

 private:
  const kernels::KernelTable* kernels_;
  size_t dim_;
  AlignedBuffer<float> f32_;
  AlignedBuffer<uint16_t> f16_;
};

struct LayerNorm {
  AlignedBuffer<float> gamma, beta;
  AlignedBuffer<float> residual_factors;  // empty: ones
  float epsilon = 0;

  kernels::LayerNormWeights weights() const {
    return {.gamma = gamma.data(),
            .beta = beta.data(),
            .epsilon = epsilon,
            .residual_factors = residual_factors.empty() ? nullptr : residual_factors.data()};
  }
  uint64_t bytes() const { return gamma.bytes() + beta.bytes() + residual_factors.bytes(); }
};

struct EncoderLayer {
  // hidden -> hidden each, of one input. Apart, so that what is to be done with their rows comes soon after a product.
  std::unique_ptr<kernels::Linear> query, key, value;
  std::unique_ptr<kernels::Linear> attention_output;  // hidden -> hidden
  LayerNorm attention_norm;
  std::unique_ptr<kernels::Linear> intermediate;  // hidden -> intermediate
  bool intermediate_activates = false;            // its rows have had the activation
  std::unique_ptr<kernels::Linear> output;        // intermediate -> hidden
  LayerNorm output_norm;

  // Of queries, keys and values the queries' alone: its input is that of all three.
  const kernels::Linear& linear(LinearSlot slot) const;
};

// Immutable once Encoder::Load has returned.
struct EncoderState {
  EncoderConfig config;
  EncoderOptions options;
  std::unique_ptr<kernels::LinearFactory> linears;
  void (*activate_row)(float* x, size_t n) = nullptr;
  std::unique_ptr<EmbeddingTable> word, position, token_type;
  LayerNorm embedding_norm;
  std::vector<EncoderLayer> layers;

  const kernels::KernelTable& kernels() const { return linears->kernels(); }
};

}  // namespace octet::model

#endif  // OCTET_MODEL_ENCODER_STATE_H_
