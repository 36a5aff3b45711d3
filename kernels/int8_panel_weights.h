// Int8 weights in the panels of an own product. Internal to this folder.
#ifndef OCTET_KERNELS_INT8_PANEL_WEIGHTS_H_
#define OCTET_KERNELS_INT8_PANEL_WEIGHTS_H_

#include <algorithm>
#include <span>

#include "base/aligned_buffer.h"
#include "base/check.h"
#include "base/rounding.h"
#include "kernels/int8_matmul.h"
#include "kernels/panels.h"

namespace octet::kernels {

class Int8PanelWeights final : public PackedInt8Weights {
 public:
  // weights: [cols, depth].
  Int8PanelWeights(std::span<const int8_t> weights, size_t depth, size_t cols, const PanelLayout& layout)
      : panels_(RoundUp(cols, layout.cols) * RoundUp(depth, layout.depth_unit)) {
    OCTET_CHECK(weights.size() == depth * cols);
    panels_.Zero();
    const size_t padded_depth = RoundUp(depth, layout.depth_unit);
    for (size_t j = 0; j < cols; ++j) {
      const int8_t* const channel = weights.data() + j * depth;
      int8_t* to = panels_.data() + layout.Index(0, j, padded_depth);
      for (size_t k = 0; k < depth; k += layout.group, to += layout.cols * layout.group) {
        std::copy_n(channel + k, std::min(layout.group, depth - k), to);
      }
    }
  }
  size_t bytes() const override { return panels_.bytes(); }
  const int8_t* data() const { return panels_.data(); }

 private:
  AlignedBuffer<int8_t> panels_;
};

}  // namespace octet::kernels

#endif  // OCTET_KERNELS_INT8_PANEL_WEIGHTS_H_
