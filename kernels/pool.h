// One vector from the token rows of one text. Rows are taken in order, so a text's result does not depend
// on its batch.
#ifndef OCTET_KERNELS_POOL_H_
#define OCTET_KERNELS_POOL_H_

#include <span>

#include "base/matrix_view.h"
#include "kernels/kernel_table.h"

namespace octet::kernels {

// tokens: [num_tokens >= 1, hidden_dim]; out: [hidden_dim].
void PoolMean(const KernelTable& kernels, MatrixView<const float> tokens, std::span<float> out);
void PoolCls(MatrixView<const float> tokens, std::span<float> out);  // the first row
void PoolMax(const KernelTable& kernels, MatrixView<const float> tokens, std::span<float> out);

}  // namespace octet::kernels

#endif  // OCTET_KERNELS_POOL_H_
