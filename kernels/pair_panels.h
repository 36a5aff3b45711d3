// The weight layout of products that take two steps of depth an instruction. Internal to this folder.
#ifndef OCTET_KERNELS_PAIR_PANELS_H_
#define OCTET_KERNELS_PAIR_PANELS_H_

#include <cstddef>

namespace octet::kernels {

// `value` or the next multiple of `unit` above it.
inline size_t RoundUp(size_t value, size_t unit) { return (value + unit - 1) / unit * unit; }

// Where element [k, col] of a [depth, cols] matrix lies: panels of `panel_cols` columns one after the other, in each of
// them pairs of depth interleaved, [depth / 2, panel_cols, 2]. depth is even.
inline size_t PairPanelIndex(size_t k, size_t col, size_t depth, size_t panel_cols) {
  return col / panel_cols * panel_cols * depth + k / 2 * panel_cols * 2 + col % panel_cols * 2 + k % 2;
}

}  // namespace octet::kernels

#endif  // OCTET_KERNELS_PAIR_PANELS_H_
