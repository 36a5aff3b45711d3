// The plain reference of every hand-written kernel: what the others are tested against, and what runs at
// level "scalar".
#ifndef OCTET_KERNELS_SCALAR_KERNELS_H_
#define OCTET_KERNELS_SCALAR_KERNELS_H_

#include "kernels/kernel_table.h"

namespace octet::kernels {

// gemm_bf16 included, so that the BF16 kernel has a reference; KernelsFor(kScalar) leaves it out.
const KernelTable& ScalarKernels();

// c[r, j] = sum over k of a[r, k] * b[j, k], exact in s32: the reference of the int8 product.
// a: [rows, depth] u8, b: [cols, depth] s8, c: [rows, cols]; all dense.
void MatmulU8S8Scalar(const uint8_t* a, const int8_t* b, size_t rows, size_t cols, size_t depth, int32_t* c);

}  // namespace octet::kernels

#endif  // OCTET_KERNELS_SCALAR_KERNELS_H_
