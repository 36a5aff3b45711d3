#include "model/encoder_workspace.h"

#include <algorithm>
#include <cstring>

#include "kernels/attention.h"
#include "model/encoder_state.h"

namespace octet::model {
namespace {

// Rows of k_transposed start 16 floats past a multiple of the page-sized power of two that a round batch
// size would give, so that the same position of all rows does not fall into one cache set.
size_t KeyStride(size_t max_tokens) { return (max_tokens + 15) / 16 * 16 + 16; }

size_t RowSize(const EncoderConfig& config) {
  return std::max<size_t>(3 * size_t{config.hidden_dim}, config.intermediate_dim);
}

template <typename T>
void Touch(AlignedBuffer<T>& buffer) {
  std::memset(buffer.data(), 0, buffer.bytes());
}

}  // namespace

KeysAndValues::KeysAndValues(size_t max_tokens, size_t hidden_dim)
    : k_stride(KeyStride(max_tokens)), k_transposed(hidden_dim * k_stride), v(max_tokens * hidden_dim) {
  Touch(k_transposed);
  Touch(v);
}

ThreadScratch::ThreadScratch(const EncoderState& encoder)
    : narrow(&encoder.kernels(),
             kernels::InputBlock::ScratchBytes(WidestKind(encoder.config, encoder.options), encoder.config.hidden_dim)),
      wide(&encoder.kernels(), kernels::InputBlock::ScratchBytes(WidestKind(encoder.config, encoder.options),
                                                                 encoder.config.intermediate_dim)),
      product(*encoder.linears),
      row(RowSize(encoder.config)),
      block(kernels::kMaxBlockRows * encoder.config.hidden_dim),
      attention(kernels::AttentionScratchSize(encoder.config.max_tokens())) {
  Touch(row);
  Touch(block);
  Touch(attention);
}

EncoderWorkspace::EncoderWorkspace(const EncoderState& encoder, kernels::ThreadTeam* team)
    : team_(team),
      x_(encoder.options.max_batch_tokens * encoder.config.hidden_dim),
      q_(encoder.options.max_batch_tokens * encoder.config.hidden_dim),
      keys_values_{{encoder.options.max_batch_tokens, encoder.config.hidden_dim},
                   {encoder.options.max_batch_tokens, encoder.config.hidden_dim}},
      next_block_(encoder.config.num_layers + 1) {
  Touch(x_);
  Touch(q_);
  for (int i = 0; i < team->num_threads(); ++i) threads_.push_back(std::make_unique<ThreadScratch>(encoder));
  if (encoder.options.activation_range == ActivationRange::kMovingAverage) {
    history_ = std::make_unique<RangeHistory>(encoder.layers.size() * kLinearsPerLayer, team->num_threads(),
                                              encoder.options.momentum);
    for (size_t i = 0; i < threads_.size(); ++i) threads_[i]->seen_ranges = history_->seen(i);
  }
}

void EncoderWorkspace::ForgetHistory() {
  if (history_ != nullptr) history_->Forget();
}

void EncoderWorkspace::StartProfile() {
  for (const auto& thread : threads_) thread->meter.Enable();
}

PhaseTicks EncoderWorkspace::Profile() const {
  PhaseTicks sum = {};
  for (const auto& thread : threads_) {
    for (size_t phase = 0; phase < kNumPhases; ++phase) sum[phase] += thread->meter.ticks()[phase];
  }
  return sum;
}

uint64_t EncoderWorkspace::Bytes(const EncoderConfig& config, kernels::LinearKind kind, uint64_t max_batch_tokens,
                                 int num_threads) {
  const uint64_t hidden = config.hidden_dim, intermediate = config.intermediate_dim;
  const uint64_t widest = std::max(3 * hidden, intermediate);
  const uint64_t shared = (2 + 2) * max_batch_tokens * hidden + 2 * hidden * KeyStride(max_batch_tokens);
  const uint64_t floats = kernels::kMaxBlockRows * widest  // product
                          + widest                         // row
                          + kernels::kMaxBlockRows * hidden + kernels::AttentionScratchSize(config.max_tokens());
  const uint64_t thread = floats * sizeof(float) + kernels::InputBlock::ScratchBytes(kind, hidden) +
                          kernels::InputBlock::ScratchBytes(kind, intermediate);
  return shared * sizeof(float) + thread * static_cast<uint64_t>(num_threads);
}

}  // namespace octet::model
