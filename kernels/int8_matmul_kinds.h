// The kinds of Int8Matmul and what they share. Internal to this folder.
#ifndef OCTET_KERNELS_INT8_MATMUL_KINDS_H_
#define OCTET_KERNELS_INT8_MATMUL_KINDS_H_

#include "kernels/int8_matmul.h"

namespace octet::kernels {

// Sizes of row blocks that are prepared; see RoundUpToBlock.
inline constexpr size_t kBlockRows[] = {4, 8, 16, 24, 32, 40, 48, 56, 64};
inline size_t BlockIndex(size_t rows) { return rows <= 4 ? 0 : (rows + 7) / 8; }

// For levels with VNNI: below it oneDNN's kernels saturate. Internal when it has only a reference kernel.
absl::StatusOr<std::unique_ptr<Int8Matmul>> MakeOneDnnInt8Matmul(size_t depth, size_t cols);

// For kAvx2 and kAvx512: an own kernel over 16-bit factors.
std::unique_ptr<Int8Matmul> MakeS16Int8Matmul(Isa isa, size_t depth, size_t cols);

}  // namespace octet::kernels

#endif  // OCTET_KERNELS_INT8_MATMUL_KINDS_H_
