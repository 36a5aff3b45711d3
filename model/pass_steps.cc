#include "model/pass_steps.h"

#include <algorithm>

#include "base/rounding.h"
#include "model/encoder_state.h"
#include "model/encoder_workspace.h"

namespace octet::model {

using kernels::Projection;

namespace {

// Rows of `n` values that are finished at once: few enough that they, their sums and what belongs to the columns stay in
// L1 until the last of them is used.
size_t RowsAtOnce(size_t n) {
  constexpr size_t kMaxValues = 4096;
  return std::clamp<size_t>(kMaxValues / n, 1, kernels::kMaxRowsAtOnce);
}

// body(part) for the rows of each product of a block of `rows`: products of nearly one size, and nearly the layer's.
void ForProducts(const kernels::Linear& linear, size_t rows, absl::FunctionRef<void(const RowBlock& part)> body) {
  constexpr size_t kTileRows = 8;
  const size_t num_nearest = (rows + linear.product_rows() / 2) / linear.product_rows();
  const size_t num_products = std::max(num_nearest, DivideUp(rows, kernels::kMaxProductRows));
  const size_t product_rows = RoundUp(DivideUp(rows, num_products), kTileRows);
  for (size_t begin = 0; begin < rows; begin += product_rows) body({begin, std::min(product_rows, rows - begin)});
}

}  // namespace

PassSteps::PassSteps(const EncoderState& encoder, const PackedBatch& batch, EncoderWorkspace* workspace)
    : encoder_(encoder), batch_(batch), ws_(*workspace), hidden_(encoder.config.hidden_dim) {}

float* PassSteps::x(size_t row_idx) const { return ws_.x_.data() + row_idx * hidden_; }

const kernels::Linear& PassSteps::linear(size_t layer_idx, LinearSlot slot) const {
  return encoder_.layers[layer_idx].linear(slot);
}

// Index of the text that has row `row_idx`.
size_t PassSteps::TextOfRow(size_t row_idx) const {
  const auto after = std::upper_bound(batch_.starts.begin(), batch_.starts.end(), row_idx);
  return static_cast<size_t>(after - batch_.starts.begin()) - 1;
}

void PassSteps::Embed(const RowBlock& block, ThreadScratch& s) const {
  constexpr size_t kRowsAhead = 4;  // words lie anywhere in a large table
  s.meter.Enter(Phase::kEmbed);
  const size_t end = block.begin + block.size;
  const auto prefetch = [&](size_t row) {
    if (row < end) encoder_.word->Prefetch(static_cast<size_t>(batch_.ids[row]));
  };
  for (size_t row = block.begin; row < block.begin + kRowsAhead; ++row) prefetch(row);
  size_t text = TextOfRow(block.begin);
  float* const part = s.rows.data();
  for (size_t first = block.begin; first < end; first += kernels::kMaxRowsAtOnce) {
    const size_t rows = std::min(kernels::kMaxRowsAtOnce, end - first);
    for (size_t row = first; row < first + rows; ++row) {
      prefetch(row + kRowsAhead);
      if (row == batch_.starts[text + 1]) ++text;
      float* const x = this->x(row);
      encoder_.word->Lookup(static_cast<size_t>(batch_.ids[row]), x);
      AddLookup(*encoder_.position, row - batch_.starts[text] + encoder_.config.position_offset, part, x);
      if (encoder_.token_type != nullptr) {
        AddLookup(*encoder_.token_type, batch_.type_ids.empty() ? 0 : static_cast<size_t>(batch_.type_ids[row]), part,
                  x);
      }
    }
    float* const x = this->x(first);
    encoder_.kernels().layer_norm_rows(x, nullptr, rows, encoder_.embedding_norm.weights(), hidden_, x);
  }
}

void PassSteps::AddLookup(const EmbeddingTable& table, size_t row_idx, float* part, float* x) const {
  table.Lookup(row_idx, part);
  encoder_.kernels().add_row(x, part, hidden_, x);
}

void PassSteps::StartInput(size_t layer_idx, LinearSlot slot, kernels::InputBlock& input, ThreadScratch& s) const {
  const kernels::Linear& linear = this->linear(layer_idx, slot);
  kernels::RowQuantizer quantizer = linear.input().quantizer();
  if (s.text_range.has_value()) {
    quantizer.range = kernels::RowRange::kFixed;
    quantizer.fixed = QuantizationOf(*s.text_range);
  } else if (ws_.history_ != nullptr && ws_.history_->has_average()) {
    quantizer.range = kernels::RowRange::kFixed;
    quantizer.fixed = ws_.history_->quantization(LinearIdx(layer_idx, slot));
  }
  input.Start(linear.input().kind, quantizer, linear.in_dim());
}

void PassSteps::SetInput(size_t layer_idx, LinearSlot slot, size_t first_row, size_t rows, const float* x,
                         kernels::InputBlock& input, ThreadScratch& s) const {
  const size_t depth = input.depth();
  for (size_t r = 0; ws_.observer_ != nullptr && r < rows; ++r) {
    ws_.observer_->OnRow(LinearIdx(layer_idx, slot), {x + r * depth, depth});
  }
  for (size_t r = 0; s.seen_ranges != nullptr && r < rows; ++r) {
    Widen(RangeOf({x + r * depth, depth}, linear(layer_idx, slot).input().quantizer().factors),
          &s.seen_ranges[LinearIdx(layer_idx, slot)]);
  }
  input.SetRows(first_row, rows, x);
}

void PassSteps::MultiplyRows(const kernels::Linear& linear, Phase phase, const kernels::InputBlock& input,
                             const RowBlock& rows, ThreadScratch& s, UseRows use) const {
  const size_t at_once = RowsAtOnce(linear.out_dim()), end = rows.begin + rows.size;
  ws_.team_->Pace();  // a whole step would take too long; after it, who runs the steps does
  s.meter.Enter(phase);
  linear.Multiply(input, rows.begin, rows.size, &s.product);
  for (size_t r = rows.begin; r < end; r += at_once) {
    const size_t num_rows = std::min(at_once, end - r);
    s.meter.Enter(Phase::kEpilogue);
    use(r, num_rows, linear.FinishRows(input, &s.product, r, num_rows, s.rows.data()));
  }
}

void PassSteps::ForRows(const kernels::Linear& linear, Phase phase, const kernels::InputBlock& input, size_t rows,
                        ThreadScratch& s, UseRows use) const {
  ForProducts(linear, rows, [&](const RowBlock& part) { MultiplyRows(linear, phase, input, part, s, use); });
}

void PassSteps::PrepareAttention(size_t layer_idx, const RowBlock& block, ThreadScratch& s) const {
  const EncoderLayer& layer = encoder_.layers[layer_idx];
  kernels::AttentionInputs& inputs = *ws_.attention_inputs_[layer_idx % 2];
  s.meter.Enter(Phase::kQuantize);
  StartInput(layer_idx, LinearSlot::kQueryKeyValue, s.attention_input, s);
  SetInput(layer_idx, LinearSlot::kQueryKeyValue, 0, block.size, x(block.begin), s.attention_input, s);
  ForProducts(*layer.query, block.size, [&](const RowBlock& part) {
    const size_t part_begin = block.begin + part.begin;
    const auto store = [&](Projection projection, const kernels::Linear& linear) {
      MultiplyRows(linear, Phase::kQueryKeyValue, s.attention_input, part, s,
                   [&](size_t first_row, size_t rows, const float* y) {
                     inputs.StoreRows(projection, part_begin, first_row - part.begin, rows, y, s.block.span());
                   });
    };
    store(Projection::kQuery, *layer.query);
    store(Projection::kKey, *layer.key);
    inputs.PlaceKeys(part_begin, part.size, s.block.span());
    store(Projection::kValue, *layer.value);
  });
}

void PassSteps::Attend(size_t layer_idx, const RowBlock& block, ThreadScratch& s) const {
  s.meter.Enter(Phase::kAttention);
  size_t row = block.begin;
  for (size_t text = TextOfRow(row); row < block.begin + block.size; ++text) {
    const size_t start = batch_.starts[text];
    const size_t end = std::min<size_t>(batch_.starts[text + 1], block.begin + block.size);
    ws_.attention_inputs_[layer_idx % 2]->Attend({.first_row = row,
                                                  .num_queries = end - row,
                                                  .text_begin = start,
                                                  .text_tokens = batch_.starts[text + 1] - start,
                                                  .out = s.block.data() + (row - block.begin) * hidden_},
                                                 s.attention.span());
    row = end;
  }
}

void PassSteps::AttentionOutput(size_t layer_idx, const RowBlock& block, ThreadScratch& s) const {
  const EncoderLayer& layer = encoder_.layers[layer_idx];
  s.meter.Enter(Phase::kQuantize);
  StartInput(layer_idx, LinearSlot::kAttentionOutput, s.attention_input, s);
  SetInput(layer_idx, LinearSlot::kAttentionOutput, 0, block.size, s.block.data(), s.attention_input, s);
  StartInput(layer_idx, LinearSlot::kIntermediate, s.narrow, s);
  ForRows(*layer.attention_output, Phase::kAttentionOutput, s.attention_input, block.size, s,
          [&](size_t first_row, size_t rows, const float* y) {
            s.meter.Enter(Phase::kNorm);
            float* const x = this->x(block.begin + first_row);
            encoder_.kernels().layer_norm_rows(y, x, rows, layer.attention_norm.weights(), hidden_, x);
            s.meter.Enter(Phase::kQuantize);
            SetInput(layer_idx, LinearSlot::kIntermediate, first_row, rows, x, s.narrow, s);
          });
}

void PassSteps::PrepareFeedForward(size_t layer_idx, const RowBlock& block, ThreadScratch& s) const {
  s.meter.Enter(Phase::kQuantize);
  StartInput(layer_idx, LinearSlot::kIntermediate, s.narrow, s);
  s.narrow.SetRows(0, block.size, x(block.begin));
}

void PassSteps::Intermediate(size_t layer_idx, const RowBlock& block, ThreadScratch& s, UseRows use) const {
  const EncoderLayer& layer = encoder_.layers[layer_idx];
  ForRows(*layer.intermediate, Phase::kIntermediate, s.narrow, block.size, s,
          [&](size_t first_row, size_t rows, float* y) {
            if (!layer.intermediate_activates) {
              s.meter.Enter(Phase::kActivation);
              encoder_.activate_row(y, rows * encoder_.config.intermediate_dim);
            }
            use(first_row, rows, y);
          });
}

void PassSteps::FeedForward(size_t layer_idx, const RowBlock& block, ThreadScratch& s) const {
  const EncoderLayer& layer = encoder_.layers[layer_idx];
  StartInput(layer_idx, LinearSlot::kOutput, s.wide, s);
  Intermediate(layer_idx, block, s, [&](size_t first_row, size_t rows, const float* y) {
    s.meter.Enter(Phase::kQuantize);
    SetInput(layer_idx, LinearSlot::kOutput, first_row, rows, y, s.wide, s);
  });
  ForRows(*layer.output, Phase::kOutput, s.wide, block.size, s, [&](size_t first_row, size_t rows, const float* y) {
    s.meter.Enter(Phase::kNorm);
    float* const x = this->x(block.begin + first_row);
    encoder_.kernels().layer_norm_rows(y, x, rows, layer.output_norm.weights(), hidden_, x);
  });
}

}  // namespace octet::model
