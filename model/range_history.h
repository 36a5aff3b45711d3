// Moving averages of the ranges of linear layers' inputs over the batches that one workspace has computed
// (ActivationRange::kMovingAverage). Threads note what they see during a pass; between passes it joins the average.
#ifndef OCTET_MODEL_RANGE_HISTORY_H_
#define OCTET_MODEL_RANGE_HISTORY_H_

#include <cstddef>
#include <vector>

#include "model/value_range.h"

namespace octet::model {

class RangeHistory {
 public:
  // momentum: in [0, 1), what the average keeps of itself with every batch.
  RangeHistory(size_t num_linears, int num_threads, double momentum);

  // False until the first batch is done: that one's rows have ranges of their own.
  bool has_average() const { return has_average_; }
  kernels::RowQuantization quantization(size_t linear_idx) const { return QuantizationOf(average_[linear_idx]); }

  // For thread `thread_idx` alone: [num_linears], to be widened.
  ValueRange* seen(size_t thread_idx) { return seen_[thread_idx].data(); }
  // After a pass, by one thread. The first batch's ranges are the first average.
  void EndBatch();
  // As new.
  void Forget();

 private:
  const float momentum_;
  bool has_average_ = false;
  std::vector<ValueRange> average_;            // [num_linears]
  std::vector<std::vector<ValueRange>> seen_;  // [num_threads][num_linears]
};

}  // namespace octet::model

#endif  // OCTET_MODEL_RANGE_HISTORY_H_
