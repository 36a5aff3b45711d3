// The weight layouts of products that take several steps of depth an instruction. Internal to this folder.
#ifndef OCTET_KERNELS_PANELS_H_
#define OCTET_KERNELS_PANELS_H_

#include <cstddef>

namespace octet::kernels {

// `value` or the next multiple of `unit` above it.
inline size_t RoundUp(size_t value, size_t unit) { return (value + unit - 1) / unit * unit; }

// A [depth, columns] matrix as panels of `cols` columns one after the other, in each of them `group` steps of depth
// interleaved: [panel][depth / group, cols, group], zeros past the last column and step.
struct PanelLayout {
  size_t cols, group;

  // Where element [k, col] lies. depth is a multiple of `group`.
  size_t Index(size_t k, size_t col, size_t depth) const {
    return col / cols * cols * depth + k / group * cols * group + col % cols * group + k % group;
  }
};

}  // namespace octet::kernels

#endif  // OCTET_KERNELS_PANELS_H_
