// What a model's linear layers get as input on texts of the kind that it will see: the evidence on which quantization
// techniques decide. Texts run through the f32 model; one encoder layer is looked at at a time, so that memory does
// not grow with the number of layers. Not thread-safe.
#ifndef OCTET_MODEL_QUANTIZE_CALIBRATION_H_
#define OCTET_MODEL_QUANTIZE_CALIBRATION_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "model/linear_plan.h"
#include "model/packed_batch.h"
#include "model/text_model.h"

namespace octet::model {

// Token ids of texts, end to end.
struct TokenizedTexts {
  std::vector<int32_t> ids;
  std::vector<uint32_t> starts = {0};  // [num_texts + 1]

  size_t num_texts() const { return starts.size() - 1; }
  void Add(std::span<const int32_t> text_ids);
  // Texts [begin, end) as a batch: `starts` is filled and must live as long as the batch.
  PackedBatch Batch(size_t begin, size_t end, std::vector<uint32_t>* batch_starts) const;
  // The end of the longest run of texts from `begin` that has at most `max_tokens`.
  size_t EndOfBatch(size_t begin, size_t max_tokens) const;
};

// Inputs of one linear layer: every token's row, up to a limit at which rows are dropped evenly.
struct LinearInputs {
  size_t dim = 0;
  std::vector<float> rows = {};            // [num_rows, dim], in the order of the texts
  std::vector<uint32_t> text_of_row = {};  // [num_rows]
  // [num_rows]: how much a row counts, one over the number of its text's rows: every text counts the same, as in what
  // is made of it in the end.
  std::vector<float> weights = {};

  size_t num_rows() const { return text_of_row.size(); }
  std::span<const float> row(size_t i) const { return {rows.data() + i * dim, dim}; }
};

class Calibration {
 public:
  // `model` must outlive it and computes in f32. `max_rows` bounds the rows kept of each linear layer.
  Calibration(const TextModel* model, TokenizedTexts texts, size_t max_rows);

  // Inputs of the linear layers of encoder layer `layer_idx`, by LinearSlot. InvalidArgument "calibration text N: ..."
  // when a text makes a value that is not finite.
  absl::StatusOr<std::vector<LinearInputs>> InputsOfLayer(size_t layer_idx);

  const TokenizedTexts& texts() const { return texts_; }

 private:
  const TextModel& model_;
  const TokenizedTexts texts_;
  const size_t row_step_;  // of so many rows one is kept
  kernels::ThreadTeam team_{1};
  std::unique_ptr<EncoderWorkspace> workspace_;
};

}  // namespace octet::model

#endif  // OCTET_MODEL_QUANTIZE_CALIBRATION_H_
