// What Highway compiles: AVX2 and AVX-512 (its AVX3), besides the fallback it always has. The excluded
// ones are all levels below AVX2 and all above AVX-512 of Skylake, by their bits in detect_targets.h:
// names of newer ones are not defined in older releases. Include before anything of Highway's.
#ifndef OCTET_KERNELS_SIMD_TARGETS_H_
#define OCTET_KERNELS_SIMD_TARGETS_H_

#define HWY_DISABLED_TARGETS ((1LL << 12) | (1LL << 11) | 0xFFLL)

#endif  // OCTET_KERNELS_SIMD_TARGETS_H_
