// The kinds of Int8Matmul. Internal to this folder.
#ifndef OCTET_KERNELS_INT8_MATMUL_KINDS_H_
#define OCTET_KERNELS_INT8_MATMUL_KINDS_H_

#include "kernels/int8_matmul.h"

namespace octet::kernels {

// For levels with VNNI: below it oneDNN's kernels saturate. Internal when it has only a reference kernel.
absl::StatusOr<std::unique_ptr<Int8Matmul>> MakeOneDnnInt8Matmul(size_t depth, size_t cols);

// For kAvx512Amx: an own kernel on tiles.
std::unique_ptr<Int8Matmul> MakeAmxInt8Matmul(size_t depth, size_t cols);

// For kAvx2 and kAvx512: an own kernel over 16-bit factors.
std::unique_ptr<Int8Matmul> MakeS16Int8Matmul(Isa isa, size_t depth, size_t cols);

}  // namespace octet::kernels

#endif  // OCTET_KERNELS_INT8_MATMUL_KINDS_H_
