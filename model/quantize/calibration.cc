#include "model/quantize/calibration.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/rounding.h"
#include "base/status_macros.h"

namespace octet::model {
namespace {

// Rows of one encoder layer's linear layers, as a pass on one thread produces them: per linear layer in the order of
// the batch's rows.
class LayerRecorder final : public LinearInputObserver {
 public:
  LayerRecorder(size_t layer_idx, size_t row_step, std::vector<LinearInputs>* inputs)
      : first_(LinearIdx(layer_idx, LinearSlot::kQueryKeyValue)), row_step_(row_step), inputs_(*inputs) {}

  // `batch`: of the pass that follows; its first text is `first_text` of all.
  void StartBatch(const PackedBatch* batch, uint32_t first_text) {
    batch_ = batch;
    first_text_ = first_text;
    std::fill(std::begin(row_in_batch_), std::end(row_in_batch_), 0);
  }

  void OnRow(size_t linear_idx, std::span<const float> x) override {
    if (linear_idx < first_ || linear_idx >= first_ + kLinearsPerLayer) return;
    const size_t slot = linear_idx - first_;
    const size_t row = row_in_batch_[slot]++;
    if ((num_seen_[slot]++) % row_step_ != 0) return;
    const auto after = std::upper_bound(batch_->starts.begin(), batch_->starts.end(), row);
    LinearInputs& inputs = inputs_[slot];
    inputs.dim = x.size();
    inputs.rows.insert(inputs.rows.end(), x.begin(), x.end());
    inputs.text_of_row.push_back(first_text_ + static_cast<uint32_t>(after - batch_->starts.begin()) - 1);
  }

 private:
  const size_t first_, row_step_;
  std::vector<LinearInputs>& inputs_;
  const PackedBatch* batch_ = nullptr;
  uint32_t first_text_ = 0;
  size_t row_in_batch_[kLinearsPerLayer] = {};
  size_t num_seen_[kLinearsPerLayer] = {};
};

absl::Status CheckFinite(const LinearInputs& inputs) {
  for (size_t r = 0; r < inputs.num_rows(); ++r) {
    if (IsFinite(inputs.row(r))) continue;
    return absl::InvalidArgumentError(absl::StrCat("calibration text ", inputs.text_of_row[r] + 1,
                                                   ": the model computes values that are not finite from it"));
  }
  return absl::OkStatus();
}

}  // namespace

void TokenizedTexts::Add(std::span<const int32_t> text_ids) {
  ids.insert(ids.end(), text_ids.begin(), text_ids.end());
  starts.push_back(static_cast<uint32_t>(ids.size()));
}

PackedBatch TokenizedTexts::Batch(size_t begin, size_t end, std::vector<uint32_t>* batch_starts) const {
  batch_starts->clear();
  for (size_t t = begin; t <= end; ++t) batch_starts->push_back(starts[t] - starts[begin]);
  return {.ids = std::span(ids).subspan(starts[begin], starts[end] - starts[begin]),
          .type_ids = {},
          .starts = *batch_starts};
}

size_t TokenizedTexts::EndOfBatch(size_t begin, size_t max_tokens) const {
  size_t end = begin + 1;
  while (end < num_texts() && starts[end + 1] - starts[begin] <= max_tokens) ++end;
  return end;
}

Calibration::Calibration(const TextModel* model, TokenizedTexts texts, size_t max_rows)
    : model_(*model),
      texts_(std::move(texts)),
      row_step_(std::max<size_t>(1, DivideUp(texts_.ids.size(), max_rows))),
      workspace_(model->NewWorkspace(&team_)) {}

absl::StatusOr<std::vector<LinearInputs>> Calibration::InputsOfLayer(size_t layer_idx) {
  std::vector<LinearInputs> inputs(kLinearsPerLayer);
  LayerRecorder recorder(layer_idx, row_step_, &inputs);
  workspace_->SetObserver(&recorder);
  std::vector<uint32_t> starts;
  const Encoder& encoder = model_.encoder();
  for (size_t begin = 0; begin < texts_.num_texts();) {
    const size_t end = texts_.EndOfBatch(begin, encoder.options().max_batch_tokens);
    const PackedBatch batch = texts_.Batch(begin, end, &starts);
    recorder.StartBatch(&batch, static_cast<uint32_t>(begin));
    const absl::Status status = encoder.Forward(batch, workspace_.get()).status();
    if (!status.ok()) {
      workspace_->SetObserver(nullptr);
      return status;
    }
    begin = end;
  }
  workspace_->SetObserver(nullptr);
  for (LinearInputs& linear : inputs) {
    RETURN_IF_ERROR(CheckFinite(linear));
    for (const uint32_t text : linear.text_of_row) {
      linear.weights.push_back(1.0f / static_cast<float>(texts_.starts[text + 1] - texts_.starts[text]));
    }
  }
  return inputs;
}

}  // namespace octet::model
