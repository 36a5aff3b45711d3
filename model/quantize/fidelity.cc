#include "model/quantize/fidelity.h"

#include <algorithm>
#include <memory>

#include "base/cosine.h"
#include "base/status_macros.h"

namespace octet::model {
namespace {

double SquaredDistance(std::span<const float> a, std::span<const float> b) {
  double sum = 0;
  for (size_t c = 0; c < a.size(); ++c) {
    const double difference = static_cast<double>(a[c]) - static_cast<double>(b[c]);
    sum += difference * difference;
  }
  return sum;
}

}  // namespace

absl::StatusOr<std::vector<float>> ComputeTexts(const TextModel& model, const TokenizedTexts& texts) {
  kernels::ThreadTeam team(model.encoder().options().num_threads);
  const std::unique_ptr<EncoderWorkspace> workspace = model.NewWorkspace(&team);
  const std::unique_ptr<HeadWorkspace> head_workspace = model.head().NewWorkspace();
  std::vector<size_t> output_starts = {0};
  for (size_t t = 0; t < texts.num_texts(); ++t) {
    output_starts.push_back(output_starts.back() + model.head().OutputSize(texts.starts[t + 1] - texts.starts[t]));
  }
  std::vector<float> outputs(output_starts.back());
  std::vector<uint32_t> starts;
  for (size_t begin = 0; begin < texts.num_texts();) {
    const size_t end = texts.EndOfBatch(begin, model.encoder().options().max_batch_tokens);
    const PackedBatch batch = texts.Batch(begin, end, &starts);
    RETURN_IF_ERROR(
        model.Compute(batch, workspace.get(), head_workspace.get(),
                      std::span(outputs).subspan(output_starts[begin], output_starts[end] - output_starts[begin])));
    begin = end;
  }
  return outputs;
}

Fidelity CompareOutputs(Task task, std::span<const float> reference, std::span<const float> outputs, size_t dim) {
  const size_t num_rows = reference.size() / dim;
  const double mean_square = Dot(reference, reference) / static_cast<double>(num_rows);
  Fidelity fidelity{.cosine_mean = 0, .cosine_min = 1};
  for (size_t row = 0; row < num_rows; ++row) {
    const std::span<const float> a = reference.subspan(row * dim, dim), b = outputs.subspan(row * dim, dim);
    double closeness = 0;
    if (task == Task::kEmbedding) {
      closeness = Cosine(a, b);
    } else {
      closeness = mean_square > 0 ? std::max(-1.0, 1 - SquaredDistance(a, b) / (2 * mean_square)) : 0;
    }
    fidelity.cosine_mean += closeness / static_cast<double>(num_rows);
    fidelity.cosine_min = std::min(fidelity.cosine_min, closeness);
  }
  return fidelity;
}

}  // namespace octet::model
