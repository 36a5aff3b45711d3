#include "model/quantize/probe_rows.h"

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <utility>

#include "base/status_macros.h"
#include "kernels/thread_team.h"
#include "model/encoder.h"
#include "model/encoder_config.h"
#include "model/linear_load.h"
#include "model/memory_budget.h"
#include "model/model_directory.h"
#include "model/quantize/calibration.h"
#include "model/weights.h"

namespace octet::model {
namespace {

// Half as many tokens, or four times as many, give factors of the same worth.
constexpr uint32_t kNumTexts = 8, kTextTokens = 32;

class RowRecorder final : public LinearInputObserver {
 public:
  explicit RowRecorder(const EncoderConfig& config) : rows_(config.num_layers * kLinearsPerLayer) {
    for (size_t i = 0; i < rows_.size(); ++i) {
      is_recorded_.push_back(!NormInFront(config, i).empty());
      if (is_recorded_[i]) rows_[i].reserve(kNumTexts * kTextTokens * ShapeOfLinear(config, i).in_dim);
    }
  }

  void OnRow(size_t linear_idx, std::span<const float> x) override {
    if (is_recorded_[linear_idx]) rows_[linear_idx].insert(rows_[linear_idx].end(), x.begin(), x.end());
  }

  std::vector<std::vector<float>> Take() { return std::move(rows_); }

 private:
  std::vector<std::vector<float>> rows_;
  std::vector<bool> is_recorded_;
};

// Ids spread evenly over the vocabulary: multiples of the golden ratio, of which the whole parts are dropped.
TokenizedTexts ProbeTexts(uint32_t vocab_size, uint32_t text_tokens) {
  constexpr uint32_t kGoldenRatio = 2654435769;  // its fraction times 2^32
  TokenizedTexts texts;
  uint32_t fraction = 0;
  for (uint32_t t = 0; t < kNumTexts; ++t) {
    std::vector<int32_t> ids(text_tokens);
    for (int32_t& id : ids) id = static_cast<int32_t>((uint64_t{fraction += kGoldenRatio} * vocab_size) >> 32);
    texts.Add(ids);
  }
  return texts;
}

}  // namespace

absl::StatusOr<std::vector<std::vector<float>>> ProbeRows(const std::string& directory_path,
                                                          const TextModelOptions& options) {
  ASSIGN_OR_RETURN(const auto directory, ModelDirectory::Open(directory_path));
  ASSIGN_OR_RETURN(const EncoderConfig config, ReadEncoderConfig(*directory));
  ASSIGN_OR_RETURN(const auto weights, Weights::Open(*directory, TensorNamesOf(config.family)));
  const EncoderOptions encoder_options{.isa = options.isa, .max_batch_tokens = kNumTexts * kTextTokens};
  ASSIGN_OR_RETURN(const EncoderMemory memory, EstimateEncoderMemory(config, encoder_options));
  RETURN_IF_ERROR(CheckMemoryLimit({.weight_bytes = memory.weight_bytes,
                                    .embedding_bytes = memory.embedding_bytes,
                                    .arena_bytes = memory.arena_bytes,
                                    .load_peak_bytes = weights->largest_tensor_f32_bytes() + kLoadScratchBytes},
                                   options.memory_limit_bytes));
  std::function<void(uint64_t)> progress;
  if (options.progress) {
    progress = [&](uint64_t done) { options.progress("factors", done, weights->file_bytes()); };
  }
  ASSIGN_OR_RETURN(const auto encoder, Encoder::Load(config, weights.get(), encoder_options, progress));
  const TokenizedTexts texts = ProbeTexts(config.vocab_size, std::min<uint32_t>(kTextTokens, config.max_tokens()));
  kernels::ThreadTeam team(1);
  const std::unique_ptr<EncoderWorkspace> workspace = encoder->NewWorkspace(&team);
  RowRecorder recorder(config);
  workspace->SetObserver(&recorder);
  std::vector<uint32_t> starts;
  RETURN_IF_ERROR(encoder->Forward(texts.Batch(0, texts.num_texts(), &starts), workspace.get()).status());
  return recorder.Take();
}

}  // namespace octet::model
