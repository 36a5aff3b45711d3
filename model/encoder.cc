#include "model/encoder.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "kernels/attention.h"
#include "model/encoder_state.h"

namespace octet::model {

using kernels::kMaxBlockRows;

// One forward pass. All work on a block of rows between two layers' attentions is done by one thread while
// the block is in its cache: attention, its output layer, the feed-forward layers, and the next layer's
// query, key and value. So a layer needs one barrier: attention reads keys and values of other blocks.
class ForwardPass {
 public:
  ForwardPass(const EncoderState& encoder, const PackedBatch& batch, EncoderWorkspace* workspace)
      : encoder_(encoder),
        batch_(batch),
        ws_(*workspace),
        hidden_(encoder.config.hidden_dim),
        block_rows_(ws_.block_rows_ != 0 ? ws_.block_rows_ : BlockRows(batch.num_tokens(), ws_.team_->num_threads())),
        num_blocks_((batch.num_tokens() + block_rows_ - 1) / block_rows_) {}

  void Run() {
    for (auto& next : ws_.next_block_) next.store(0, std::memory_order_relaxed);
    const auto body = [this](int thread_idx) { RunThread(*ws_.threads_[thread_idx]); };
    // One block is one thread's work; waking the others for every layer would take longer than the layer.
    if (num_blocks_ == 1) {
      ws_.team_->RunAlone(body);
    } else {
      ws_.team_->Run(body);
    }
  }

 private:
  struct Block {
    size_t begin, size;  // rows [begin, begin + size)
  };

  // As large as caches allow, but enough blocks that every thread gets the same number, all of nearly one size.
  static size_t BlockRows(size_t num_tokens, int num_threads) {
    const auto threads = static_cast<size_t>(num_threads);
    const size_t blocks_per_thread = (num_tokens + threads * kMaxBlockRows - 1) / (threads * kMaxBlockRows);
    const size_t blocks = threads * blocks_per_thread;
    return (num_tokens + blocks - 1) / blocks;
  }

  // Phase p computes layer p - 1 (phase 0: the embeddings) and the attention input of layer p.
  void RunThread(ThreadScratch& scratch) {
    const size_t num_layers = encoder_.layers.size();
    scratch.meter.Begin(Phase::kEmbed);
    for (size_t phase = 0; phase <= num_layers; ++phase) {
      for (;;) {
        const size_t block_idx = ws_.next_block_[phase].fetch_add(1, std::memory_order_relaxed);
        if (block_idx >= num_blocks_) break;
        const size_t begin = block_idx * block_rows_;
        const Block block{begin, std::min(block_rows_, batch_.num_tokens() - begin)};
        if (phase == 0) {
          Embed(block, scratch);
        } else {
          Layer(phase - 1, block, scratch);
        }
        if (phase < num_layers) {
          PrepareAttention(phase, block, scratch);
        }
      }
      scratch.meter.Enter(Phase::kSynchronize);
      if (phase < num_layers && num_blocks_ > 1) ws_.team_->Barrier();
    }
  }

  float* Row(AlignedBuffer<float>& matrix, size_t row_idx) const { return matrix.data() + row_idx * hidden_; }

  // Index of the text that has row `row_idx`.
  size_t TextOfRow(size_t row_idx) const {
    const auto after = std::upper_bound(batch_.starts.begin(), batch_.starts.end(), row_idx);
    return static_cast<size_t>(after - batch_.starts.begin()) - 1;
  }

  // x = LayerNorm(word + position + token type)
  void Embed(const Block& block, ThreadScratch& s) {
    s.meter.Enter(Phase::kEmbed);
    size_t text = TextOfRow(block.begin);
    float* const part = s.row.data();
    for (size_t row = block.begin; row < block.begin + block.size; ++row) {
      if (row == batch_.starts[text + 1]) ++text;
      float* const x = Row(ws_.x_, row);
      encoder_.word->Lookup(static_cast<size_t>(batch_.ids[row]), x);
      AddLookup(*encoder_.position, row - batch_.starts[text] + encoder_.config.position_offset, part, x);
      if (encoder_.token_type != nullptr) {
        AddLookup(*encoder_.token_type, batch_.type_ids.empty() ? 0 : static_cast<size_t>(batch_.type_ids[row]), part,
                  x);
      }
      encoder_.kernels().layer_norm_row(x, nullptr, encoder_.embedding_norm.weights(), hidden_, x);
    }
  }

  void AddLookup(const EmbeddingTable& table, size_t row_idx, float* part, float* x) const {
    table.Lookup(row_idx, part);
    encoder_.kernels().add_row(x, part, hidden_, x);
  }

  // Row `r` of the input of a linear layer, which `input` was started for.
  void SetInput(size_t layer_idx, LinearSlot slot, size_t r, const float* x, kernels::InputBlock& input) const {
    if (ws_.observer_ != nullptr) ws_.observer_->OnRow(LinearIdx(layer_idx, slot), {x, input.depth()});
    input.SetRow(r, x);
  }

  // q, k, v = x W + b for the rows of `block`; k is stored transposed, as attention reads it.
  void PrepareAttention(size_t layer_idx, const Block& block, ThreadScratch& s) {
    const EncoderLayer& layer = encoder_.layers[layer_idx];
    KeysAndValues& kv = ws_.keys_values_[layer_idx % 2];
    s.meter.Enter(Phase::kQuantize);
    s.narrow.Start(layer.query_key_value->input(), hidden_);
    for (size_t r = 0; r < block.size; ++r) {
      SetInput(layer_idx, LinearSlot::kQueryKeyValue, r, Row(ws_.x_, block.begin + r), s.narrow);
    }
    s.meter.Enter(Phase::kQueryKeyValue);
    layer.query_key_value->Multiply(s.narrow, block.size, &s.product);
    s.meter.Enter(Phase::kEpilogue);
    float* const qkv = s.row.data();
    for (size_t r = 0; r < block.size; ++r) {
      layer.query_key_value->FinishRow(s.narrow, s.product, r, qkv);
      std::copy_n(qkv, hidden_, Row(ws_.q_, block.begin + r));
      std::copy_n(qkv + hidden_, hidden_, Row(s.block, r));
      std::copy_n(qkv + 2 * hidden_, hidden_, Row(kv.v, block.begin + r));
    }
    encoder_.kernels().transpose(s.block.data(), hidden_, block.size, hidden_, kv.k_transposed.data() + block.begin,
                                 kv.k_stride);
  }

  void Layer(size_t layer_idx, const Block& block, ThreadScratch& s) {
    Attend(ws_.keys_values_[layer_idx % 2], block, s);
    AttentionOutput(layer_idx, block, s);
    FeedForward(layer_idx, block, s);
  }

  // s.block = attention of the block's rows, text by text.
  void Attend(const KeysAndValues& kv, const Block& block, ThreadScratch& s) {
    s.meter.Enter(Phase::kAttention);
    const kernels::AttentionShape shape{encoder_.config.num_heads, encoder_.config.head_dim()};
    size_t row = block.begin;
    for (size_t text = TextOfRow(row); row < block.begin + block.size; ++text) {
      const size_t start = batch_.starts[text];
      const size_t end = std::min<size_t>(batch_.starts[text + 1], block.begin + block.size);
      kernels::Attend(encoder_.kernels(), shape,
                      {.q = Row(ws_.q_, row),
                       .q_stride = hidden_,
                       .k_transposed = kv.k_transposed.data() + start,
                       .k_stride = kv.k_stride,
                       .v = kv.v.data() + start * hidden_,
                       .v_stride = hidden_,
                       .out = Row(s.block, row - block.begin),
                       .out_stride = hidden_,
                       .num_queries = end - row,
                       .text_tokens = batch_.starts[text + 1] - start},
                      s.attention.span());
      row = end;
    }
  }

  // x = LayerNorm(x + attention W + b); leaves the new rows in s.narrow.
  void AttentionOutput(size_t layer_idx, const Block& block, ThreadScratch& s) {
    const EncoderLayer& layer = encoder_.layers[layer_idx];
    s.meter.Enter(Phase::kQuantize);
    s.narrow.Start(layer.attention_output->input(), hidden_);
    for (size_t r = 0; r < block.size; ++r) {
      SetInput(layer_idx, LinearSlot::kAttentionOutput, r, Row(s.block, r), s.narrow);
    }
    s.meter.Enter(Phase::kAttentionOutput);
    layer.attention_output->Multiply(s.narrow, block.size, &s.product);
    s.narrow.Start(layer.intermediate->input(), hidden_);
    for (size_t r = 0; r < block.size; ++r) {
      s.meter.Enter(Phase::kEpilogue);
      layer.attention_output->FinishRow(s.narrow, s.product, r, s.row.data());
      s.meter.Enter(Phase::kNorm);
      float* const x = Row(ws_.x_, block.begin + r);
      encoder_.kernels().layer_norm_row(s.row.data(), x, layer.attention_norm.weights(), hidden_, x);
      s.meter.Enter(Phase::kQuantize);
      SetInput(layer_idx, LinearSlot::kIntermediate, r, x, s.narrow);
    }
  }

  // x = LayerNorm(x + activation(x W1 + b1) W2 + b2); takes x from s.narrow.
  void FeedForward(size_t layer_idx, const Block& block, ThreadScratch& s) {
    const EncoderLayer& layer = encoder_.layers[layer_idx];
    const size_t intermediate = encoder_.config.intermediate_dim;
    s.meter.Enter(Phase::kIntermediate);
    layer.intermediate->Multiply(s.narrow, block.size, &s.product);
    s.wide.Start(layer.output->input(), intermediate);
    for (size_t r = 0; r < block.size; ++r) {
      s.meter.Enter(Phase::kEpilogue);
      layer.intermediate->FinishRow(s.narrow, s.product, r, s.row.data());
      s.meter.Enter(Phase::kActivation);
      encoder_.activate_row(s.row.data(), intermediate);
      s.meter.Enter(Phase::kQuantize);
      SetInput(layer_idx, LinearSlot::kOutput, r, s.row.data(), s.wide);
    }
    s.meter.Enter(Phase::kOutput);
    layer.output->Multiply(s.wide, block.size, &s.product);
    for (size_t r = 0; r < block.size; ++r) {
      s.meter.Enter(Phase::kEpilogue);
      layer.output->FinishRow(s.wide, s.product, r, s.row.data());
      s.meter.Enter(Phase::kNorm);
      float* const x = Row(ws_.x_, block.begin + r);
      encoder_.kernels().layer_norm_row(s.row.data(), x, layer.output_norm.weights(), hidden_, x);
    }
  }

  const EncoderState& encoder_;
  const PackedBatch& batch_;
  EncoderWorkspace& ws_;
  const size_t hidden_;
  const size_t block_rows_;
  const size_t num_blocks_;
};

EmbeddingTable::EmbeddingTable(const kernels::KernelTable* kernels, std::span<const float> values, size_t dim,
                               bool half)
    : kernels_(kernels), dim_(dim) {
  constexpr float kMaxF16 = 65504;
  float max = 0;
  for (const float v : values) max = std::max(max, std::abs(v));
  if (half && max <= kMaxF16) {
    f16_ = AlignedBuffer<uint16_t>(values.size());
    kernels_->f32_to_f16_row(values.data(), values.size(), f16_.data());
  } else {
    f32_ = AlignedBuffer<float>(values.size());
    std::copy(values.begin(), values.end(), f32_.data());
  }
}

void EmbeddingTable::Lookup(size_t row_idx, float* y) const {
  if (f16_.empty()) {
    std::memcpy(y, f32_.data() + row_idx * dim_, dim_ * sizeof(float));
  } else {
    kernels_->f16_to_f32_row(f16_.data() + row_idx * dim_, dim_, y);
  }
}

Encoder::Encoder(std::unique_ptr<EncoderState> state) : state_(std::move(state)) {}
Encoder::~Encoder() = default;

const EncoderConfig& Encoder::config() const { return state_->config; }
const EncoderOptions& Encoder::options() const { return state_->options; }
const kernels::KernelTable& Encoder::kernels() const { return state_->kernels(); }

std::unique_ptr<EncoderWorkspace> Encoder::NewWorkspace(kernels::ThreadTeam* team) const {
  return std::make_unique<EncoderWorkspace>(*state_, team);
}

uint64_t Encoder::embedding_bytes() const {
  return state_->word->bytes() + state_->position->bytes() +
         (state_->token_type == nullptr ? 0 : state_->token_type->bytes());
}

uint64_t Encoder::weight_bytes() const {
  uint64_t bytes = state_->embedding_norm.bytes();
  for (const EncoderLayer& layer : state_->layers) {
    bytes += layer.query_key_value->bytes() + layer.attention_output->bytes() + layer.intermediate->bytes() +
             layer.output->bytes() + layer.attention_norm.bytes() + layer.output_norm.bytes();
  }
  return bytes;
}

std::vector<std::string> Encoder::implementation_names() const { return state_->linears->implementation_names(); }

const kernels::InputFormat& Encoder::input_format(size_t linear_idx) const {
  const EncoderLayer& layer = state_->layers[linear_idx / kLinearsPerLayer];
  switch (static_cast<LinearSlot>(linear_idx % kLinearsPerLayer)) {
    case LinearSlot::kQueryKeyValue:
      return layer.query_key_value->input();
    case LinearSlot::kAttentionOutput:
      return layer.attention_output->input();
    case LinearSlot::kIntermediate:
      return layer.intermediate->input();
    case LinearSlot::kOutput:
      break;
  }
  return layer.output->input();
}

absl::Status Encoder::CheckBatch(const PackedBatch& batch) const {
  const EncoderConfig& config = state_->config;
  const auto& starts = batch.starts;
  if (starts.size() < 2 || starts.front() != 0 || starts.back() != batch.ids.size()) {
    return absl::InvalidArgumentError("batch: text starts do not cover the token ids");
  }
  if (batch.num_tokens() > state_->options.max_batch_tokens) {
    return absl::InvalidArgumentError(
        absl::StrCat("batch: ", batch.num_tokens(), " tokens, limit ", state_->options.max_batch_tokens));
  }
  for (size_t t = 0; t + 1 < starts.size(); ++t) {
    if (starts[t + 1] <= starts[t] || starts[t + 1] - starts[t] > config.max_tokens()) {
      return absl::InvalidArgumentError(absl::StrCat("batch: text ", t, " has ",
                                                     int64_t{starts[t + 1]} - int64_t{starts[t]},
                                                     " tokens, allowed are 1 to ", config.max_tokens()));
    }
  }
  for (const int32_t id : batch.ids) {
    if (id < 0 || static_cast<uint32_t>(id) >= config.vocab_size) {
      return absl::InvalidArgumentError(
          absl::StrCat("batch: token id ", id, ", the vocabulary has ", config.vocab_size));
    }
  }
  if (!batch.type_ids.empty() && batch.type_ids.size() != batch.ids.size()) {
    return absl::InvalidArgumentError("batch: as many type ids as token ids are needed");
  }
  for (const int32_t type : batch.type_ids) {
    if (type < 0 || static_cast<uint32_t>(type) >= std::max(1u, config.num_token_types)) {
      return absl::InvalidArgumentError(
          absl::StrCat("batch: type id ", type, ", the model has ", config.num_token_types));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<MatrixView<const float>> Encoder::Forward(const PackedBatch& batch, EncoderWorkspace* workspace) const {
  RETURN_IF_ERROR(CheckBatch(batch));
  ForwardPass(*state_, batch, workspace).Run();
  return MatrixView<const float>(workspace->x_.data(), batch.num_tokens(), state_->config.hidden_dim);
}

}  // namespace octet::model
