#include "model/encoder_workspace.h"

#include <algorithm>

#include "model/encoder_state.h"

namespace octet::model {

using kernels::AttentionInputs;
using kernels::InputBlock;

namespace {

static_assert(kMaxBlockRows >= kernels::kMaxProductRows,
              "ThreadScratch::block serves as AttentionInputs::BlockScratch");

// Of EncoderWorkspace::attended_.
size_t AttendedSize(const EncoderConfig& config, const EncoderOptions& options) {
  return options.activation_range == ActivationRange::kPerText ? options.max_batch_tokens * config.hidden_dim : 0;
}

// Of a layer's output.
size_t RowSize(const EncoderConfig& config) { return std::max(config.hidden_dim, config.intermediate_dim); }

InputBlock NewInput(const EncoderState& encoder, size_t depth) {
  return InputBlock(&encoder.kernels(), kMaxBlockRows,
                    InputBlock::RowBytes(WidestKind(encoder.config, encoder.options), depth));
}

}  // namespace

ThreadScratch::ThreadScratch(const EncoderState& encoder)
    : attention_input(NewInput(encoder, encoder.config.hidden_dim)),
      narrow(NewInput(encoder, encoder.config.hidden_dim)),
      wide(NewInput(encoder, encoder.config.intermediate_dim)),
      product(*encoder.linears),
      rows(kernels::kMaxRowsAtOnce * RowSize(encoder.config)),
      block(kMaxBlockRows * encoder.config.hidden_dim),
      attention(AttentionInputs::AttendScratch(AttentionKindOf(encoder.config, encoder.options.precision),
                                               AttentionShapeOf(encoder.config), encoder.config.max_tokens())) {
  rows.Zero();
  block.Zero();
  attention.Zero();
}

EncoderWorkspace::EncoderWorkspace(const EncoderState& encoder, kernels::ThreadTeam* team)
    : team_(team),
      x_(encoder.options.max_batch_tokens * encoder.config.hidden_dim),
      attended_(AttendedSize(encoder.config, encoder.options)),
      schedule_(encoder.options.max_batch_tokens, encoder.config.hidden_dim) {
  x_.Zero();
  attended_.Zero();
  for (auto& inputs : attention_inputs_) {
    inputs = AttentionInputs::Create(AttentionKindOf(encoder.config, encoder.options.precision), encoder.kernels(),
                                     AttentionShapeOf(encoder.config), encoder.options.max_batch_tokens);
  }
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

uint64_t EncoderWorkspace::Bytes(const EncoderConfig& config, const EncoderOptions& options) {
  const uint64_t hidden = config.hidden_dim, intermediate = config.intermediate_dim;
  const uint64_t widest = RowSize(config);
  const kernels::LinearKind kind = WidestKind(config, options);
  const kernels::AttentionKind attention = AttentionKindOf(config, options.precision);
  const kernels::AttentionShape shape = AttentionShapeOf(config);
  const uint64_t shared =
      (options.max_batch_tokens * hidden + AttendedSize(config, options)) * sizeof(float) +
      2 * AttentionInputs::Bytes(attention, kernels::KernelsFor(options.isa), shape, options.max_batch_tokens) +
      BlockSchedule::Bytes(options.max_batch_tokens);
  const uint64_t floats = kernels::kMaxProductRows * widest   // product
                          + kernels::kMaxRowsAtOnce * widest  // rows
                          + kMaxBlockRows * hidden +
                          AttentionInputs::AttendScratch(attention, shape, config.max_tokens());
  const uint64_t thread = floats * sizeof(float) +
                          2 * InputBlock::Bytes(kMaxBlockRows, InputBlock::RowBytes(kind, hidden)) +
                          InputBlock::Bytes(kMaxBlockRows, InputBlock::RowBytes(kind, intermediate));
  return shared + thread * static_cast<uint64_t>(options.num_threads);
}

}  // namespace octet::model
