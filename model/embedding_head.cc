#include "model/embedding_head.h"

#include <algorithm>
#include <cmath>

#include "kernels/pool.h"

namespace octet::model {

void EmbeddingHead::Run(const PackedBatch& batch, MatrixView<const float> hidden_states, HeadWorkspace*,
                        std::span<float> outputs) const {
  for (size_t text_idx = 0; text_idx < batch.num_texts(); ++text_idx) {
    const size_t begin = batch.starts[text_idx];
    const MatrixView<const float> tokens = hidden_states.Rows(begin, batch.starts[text_idx + 1] - begin);
    const std::span<float> out = outputs.subspan(text_idx * hidden_dim_, hidden_dim_);
    switch (pooling_) {
      case Pooling::kMean:
        kernels::PoolMean(kernels_, tokens, out);
        break;
      case Pooling::kCls:
        kernels::PoolCls(tokens, out);
        break;
      case Pooling::kMax:
        kernels::PoolMax(kernels_, tokens, out);
        break;
    }
  }
}

size_t FinishEmbedding(std::span<float> embedding, size_t dimensions, bool normalize) {
  const std::span<float> kept = embedding.first(std::min(dimensions, embedding.size()));
  if (!normalize) return kept.size();
  // In f64, in order: squares of large f32 values cannot overflow, and the result has one value.
  double sum = 0;
  for (const float value : kept) sum += static_cast<double>(value) * static_cast<double>(value);
  if (sum == 0) return kept.size();
  const double norm = std::sqrt(sum);
  for (float& value : kept) value = static_cast<float>(static_cast<double>(value) / norm);
  return kept.size();
}

}  // namespace octet::model
