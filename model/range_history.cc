#include "model/range_history.h"

#include <algorithm>

namespace octet::model {

RangeHistory::RangeHistory(size_t num_linears, int num_threads, double momentum)
    : momentum_(static_cast<float>(momentum)),
      average_(num_linears),
      seen_(static_cast<size_t>(num_threads), std::vector<ValueRange>(num_linears)) {}

void RangeHistory::EndBatch() {
  const float share = has_average_ ? 1 - momentum_ : 1;
  for (size_t i = 0; i < average_.size(); ++i) {
    ValueRange batch;
    for (auto& of_thread : seen_) {
      Widen(of_thread[i], &batch);
      of_thread[i] = {};
    }
    average_[i].min += share * (batch.min - average_[i].min);
    average_[i].max += share * (batch.max - average_[i].max);
  }
  has_average_ = true;
}

void RangeHistory::Forget() {
  has_average_ = false;
  std::fill(average_.begin(), average_.end(), ValueRange{});
}

}  // namespace octet::model
