#include "model/quantize/probe_rows.h"

#include <algorithm>
#include <cstdint>
#include <memory>

#include "base/status_macros.h"
#include "model/encoder_config.h"
#include "model/linear_load.h"
#include "model/model_directory.h"
#include "model/quantize/calibration.h"

namespace octet::model {
namespace {

// Half as many tokens, or eight times as many, give factors of the same worth.
constexpr uint32_t kNumTexts = 8, kTextTokens = 32;

class RowRecorder final : public LinearInputObserver {
 public:
  explicit RowRecorder(const EncoderConfig& config) : config_(config), rows_(config.num_layers * kLinearsPerLayer) {}

  void OnRow(size_t linear_idx, std::span<const float> x) override {
    if (NormInFront(config_, linear_idx).empty()) return;
    rows_[linear_idx].insert(rows_[linear_idx].end(), x.begin(), x.end());
  }

  std::vector<std::vector<float>> Take() { return std::move(rows_); }

 private:
  const EncoderConfig& config_;
  std::vector<std::vector<float>> rows_;
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

absl::StatusOr<std::vector<std::vector<float>>> ProbeRows(const std::string& directory,
                                                          const TextModelOptions& options) {
  ASSIGN_OR_RETURN(const auto opened, ModelDirectory::Open(directory));
  ASSIGN_OR_RETURN(const EncoderConfig config, ReadEncoderConfig(*opened));
  TextModelOptions plain;
  plain.isa = options.isa;
  plain.memory_limit_bytes = options.memory_limit_bytes;
  plain.progress = options.progress;
  plain.max_batch_tokens = std::max<size_t>(kNumTexts * kTextTokens, config.max_tokens());
  plain.needs_text = false;
  ASSIGN_OR_RETURN(const auto model, TextModel::Load(directory, plain));
  const TokenizedTexts texts = ProbeTexts(config.vocab_size, std::min<uint32_t>(kTextTokens, config.max_tokens()));
  kernels::ThreadTeam team(1);
  const std::unique_ptr<EncoderWorkspace> workspace = model->NewWorkspace(&team);
  RowRecorder recorder(config);
  workspace->SetObserver(&recorder);
  std::vector<uint32_t> starts;
  RETURN_IF_ERROR(model->encoder().Forward(texts.Batch(0, texts.num_texts(), &starts), workspace.get()).status());
  return recorder.Take();
}

}  // namespace octet::model
