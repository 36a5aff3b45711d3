#include "model/encoder.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "model/encoder_state.h"
#include "model/forward_pass.h"
#include "model/text_range_pass.h"

namespace octet::model {

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

void EmbeddingTable::Prefetch(size_t row_idx) const {
  const size_t element_bytes = f16_.empty() ? sizeof(float) : sizeof(uint16_t), row_bytes = dim_ * element_bytes;
  const auto* const table =
      f16_.empty() ? reinterpret_cast<const std::byte*>(f32_.data()) : reinterpret_cast<const std::byte*>(f16_.data());
  for (size_t at = 0; at < row_bytes; at += kCacheLineBytes) __builtin_prefetch(table + row_idx * row_bytes + at);
}

const kernels::Linear& EncoderLayer::linear(LinearSlot slot) const {
  switch (slot) {
    case LinearSlot::kQueryKeyValue:
      return *query;
    case LinearSlot::kAttentionOutput:
      return *attention_output;
    case LinearSlot::kIntermediate:
      return *intermediate;
    case LinearSlot::kOutput:
      break;
  }
  return *output;
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
    for (const auto* linear :
         {&layer.query, &layer.key, &layer.value, &layer.attention_output, &layer.intermediate, &layer.output}) {
      bytes += (*linear)->bytes();
    }
    bytes += layer.attention_norm.bytes() + layer.output_norm.bytes();
  }
  return bytes;
}

std::vector<std::string> Encoder::implementation_names() const { return state_->linears->implementation_names(); }

const kernels::InputFormat& Encoder::input_format(size_t linear_idx) const {
  const EncoderLayer& layer = state_->layers[linear_idx / kLinearsPerLayer];
  return layer.linear(static_cast<LinearSlot>(linear_idx % kLinearsPerLayer)).input();
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
  if (state_->options.activation_range == ActivationRange::kPerText) {
    TextRangePass(*state_, batch, workspace).Run();
  } else {
    ForwardPass(*state_, batch, workspace).Run();
  }
  return MatrixView<const float>(workspace->x_.data(), batch.num_tokens(), state_->config.hidden_dim);
}

}  // namespace octet::model
