// How many activations a forward pass cuts off: values of linear layers' inputs outside the fixed ranges that a
// quantized directory gives them. Layers whose ranges follow each row cut nothing and are not counted. A counter may be
// the observer of a pass on a team of any size.
#ifndef OCTET_MODEL_ACTIVATION_CLIPPING_H_
#define OCTET_MODEL_ACTIVATION_CLIPPING_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "model/encoder.h"
#include "model/linear_plan.h"

namespace octet::model {

struct ClippingCount {
  uint64_t values = 0;   // that met a fixed range
  uint64_t clipped = 0;  // of them, outside of it
};

// Whether any linear layer has a fixed range for its input.
bool HasFixedRanges(const Encoder& encoder);

class ClippingCounter final : public LinearInputObserver {
 public:
  // `encoder`: whose passes are observed; must outlive the counter.
  explicit ClippingCounter(const Encoder& encoder);

  void OnRow(size_t linear_idx, std::span<const float> x) override;
  // Call between passes.
  ClippingCount count() const;

 private:
  // What the input, times its factors, may be without being cut off; none for layers without a fixed range.
  struct Range {
    bool is_fixed = false;
    float min = 0, max = 0;
    std::span<const float> factors = {};  // [in_dim], or empty
  };

  std::vector<Range> ranges_;  // by LinearIdx
  std::atomic<uint64_t> values_{0}, clipped_{0};
};

}  // namespace octet::model

#endif  // OCTET_MODEL_ACTIVATION_CLIPPING_H_
