// The weight layouts of products that take several steps of depth an instruction. Internal to this folder.
#ifndef OCTET_KERNELS_PANELS_H_
#define OCTET_KERNELS_PANELS_H_

#include <cstddef>

namespace octet::kernels {

// A [depth, columns] matrix as panels of `cols` columns one after the other, in each of them `group` steps of depth
// interleaved: [panel][depth / group, cols, group], zeros past the last column and, up to a multiple of `depth_unit`, step.
struct PanelLayout {
  size_t cols, group, depth_unit;

  // Where element [k, col] lies. depth: with its zeros.
  size_t Index(size_t k, size_t col, size_t depth) const {
    return col / cols * cols * depth + k / group * cols * group + col % cols * group + k % group;
  }
};

}  // namespace octet::kernels

#endif  // OCTET_KERNELS_PANELS_H_
