// Parts of the kernel tables that come from Highway sources, per level. Internal to this folder.
#ifndef OCTET_KERNELS_SIMD_KERNELS_H_
#define OCTET_KERNELS_SIMD_KERNELS_H_

#include "kernels/kernel_table.h"

namespace octet::kernels {

// Set the members that the file named after the function implements; `isa` is kAvx2 or kAvx512.
void FillRowKernels(Isa isa, KernelTable* table);
void FillGemmF32(Isa isa, KernelTable* table);
// Needs a machine at kAvx512Bf16 only when the kernels run.
void FillGemmBf16(KernelTable* table);

}  // namespace octet::kernels

#endif  // OCTET_KERNELS_SIMD_KERNELS_H_
