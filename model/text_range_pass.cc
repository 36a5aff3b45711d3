#include "model/text_range_pass.h"

#include <algorithm>

#include "model/encoder_state.h"
#include "model/encoder_workspace.h"

namespace octet::model {

TextRangePass::TextRangePass(const EncoderState& encoder, const PackedBatch& batch, EncoderWorkspace* workspace)
    : encoder_(encoder),
      batch_(batch),
      ws_(*workspace),
      steps_(encoder, batch, workspace),
      block_rows_(ws_.block_rows_ != 0 ? ws_.block_rows_ : kMaxBlockRows) {}

void TextRangePass::Run() {
  const auto body = [this](int thread_idx) { RunThread(*ws_.threads_[thread_idx]); };
  if (batch_.num_texts() == 1) {
    ws_.team_->RunAlone(body);
  } else {
    ws_.team_->Run(body);
  }
}

void TextRangePass::RunThread(ThreadScratch& scratch) {
  scratch.meter.Begin(Phase::kEmbed);
  for (;;) {
    const size_t text = next_text_.fetch_add(1, std::memory_order_relaxed);
    if (text >= batch_.num_texts()) break;
    Compute({.begin = batch_.starts[text], .end = batch_.starts[text + 1]}, scratch);
  }
  scratch.meter.Enter(Phase::kSynchronize);
}

void TextRangePass::ForEachBlock(const Text& text, absl::FunctionRef<void(const RowBlock&)> step) const {
  for (size_t begin = text.begin; begin < text.end; begin += block_rows_) {
    step({begin, std::min(block_rows_, text.end - begin)});
    ws_.team_->Pace();
  }
}

void TextRangePass::SetRange(size_t layer_idx, LinearSlot slot, const Text& text,
                             absl::FunctionRef<const float*(size_t)> row, ThreadScratch& s) {
  s.meter.Enter(Phase::kQuantize);
  const kernels::Linear& linear = steps_.linear(layer_idx, slot);
  ValueRange range;
  for (size_t i = text.begin; i < text.end; ++i) {
    Widen(RangeOf({row(i), linear.in_dim()}, linear.input().quantizer().factors), &range);
  }
  s.text_range = range;
}

void TextRangePass::Compute(const Text& text, ThreadScratch& s) {
  ForEachBlock(text, [&](const RowBlock& block) { steps_.Embed(block, s); });
  for (size_t layer_idx = 0; layer_idx < encoder_.layers.size(); ++layer_idx) Layer(layer_idx, text, s);
  s.text_range.reset();
}

void TextRangePass::Layer(size_t layer_idx, const Text& text, ThreadScratch& s) {
  const auto residual = [this](size_t row) -> const float* { return steps_.x(row); };
  SetRange(layer_idx, LinearSlot::kQueryKeyValue, text, residual, s);
  ForEachBlock(text, [&](const RowBlock& block) { steps_.PrepareAttention(layer_idx, block, s); });

  const size_t hidden = encoder_.config.hidden_dim;
  const auto attended = [this, hidden](size_t row) -> float* { return ws_.attended_.data() + row * hidden; };
  ForEachBlock(text, [&](const RowBlock& block) {
    steps_.Attend(layer_idx, block, s);
    std::copy_n(s.block.data(), block.size * hidden, attended(block.begin));
  });
  SetRange(layer_idx, LinearSlot::kAttentionOutput, text, attended, s);
  ForEachBlock(text, [&](const RowBlock& block) {
    std::copy_n(attended(block.begin), block.size * hidden, s.block.data());
    steps_.AttentionOutput(layer_idx, block, s);
  });

  SetRange(layer_idx, LinearSlot::kIntermediate, text, residual, s);
  // Computed twice, for its range and for itself: kept, it would be the largest buffer of all.
  const ValueRange intermediate_input = *s.text_range;
  const float* const factors = steps_.linear(layer_idx, LinearSlot::kOutput).input().quantizer().factors;
  ValueRange activated;
  ForEachBlock(text, [&](const RowBlock& block) {
    steps_.PrepareFeedForward(layer_idx, block, s);
    steps_.Intermediate(layer_idx, block, s, [&](size_t, size_t rows, const float* y) {
      const size_t dim = encoder_.config.intermediate_dim;
      for (size_t r = 0; r < rows; ++r) Widen(RangeOf({y + r * dim, dim}, factors), &activated);
    });
  });
  ForEachBlock(text, [&](const RowBlock& block) {
    s.text_range = intermediate_input;
    steps_.PrepareFeedForward(layer_idx, block, s);
    s.text_range = activated;
    steps_.FeedForward(layer_idx, block, s);
  });
}

}  // namespace octet::model
