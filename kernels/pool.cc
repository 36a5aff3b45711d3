#include "kernels/pool.h"

#include <algorithm>

namespace octet::kernels {

void PoolCls(MatrixView<const float> tokens, std::span<float> out) {
  std::copy_n(tokens.data(), tokens.cols(), out.data());
}

void PoolMean(const KernelTable& kernels, MatrixView<const float> tokens, std::span<float> out) {
  PoolCls(tokens, out);
  for (size_t r = 1; r < tokens.rows(); ++r) {
    kernels.add_row(tokens.Row(r).data(), out.data(), tokens.cols(), out.data());
  }
  kernels.scale_row(1.0f / static_cast<float>(tokens.rows()), out.data(), tokens.cols());
}

void PoolMax(const KernelTable& kernels, MatrixView<const float> tokens, std::span<float> out) {
  PoolCls(tokens, out);
  for (size_t r = 1; r < tokens.rows(); ++r) {
    kernels.max_row(tokens.Row(r).data(), tokens.cols(), out.data());
  }
}

}  // namespace octet::kernels
