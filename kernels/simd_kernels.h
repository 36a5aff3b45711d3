// Parts of the kernel tables that come from Highway sources, per level. Internal to this folder.
#ifndef OCTET_KERNELS_SIMD_KERNELS_H_
#define OCTET_KERNELS_SIMD_KERNELS_H_

#include "kernels/kernel_table.h"

namespace octet::kernels {

// Of the file named after the function; `isa` is kAvx2 or kAvx512. These run on machines that lack the level, so
// they only hand out what was put together at compile time: a function compiled for a level may use its
// instructions anywhere, even to store a few pointers.
const KernelTable& SimdRowKernels(Isa isa);  // products are null
void (*SimdGemmF32(Isa isa))(const GemmF32&);
// Needs a machine at kAvx512Bf16 only when the kernels run.
void FillGemmBf16(KernelTable* table);

}  // namespace octet::kernels

#endif  // OCTET_KERNELS_SIMD_KERNELS_H_
