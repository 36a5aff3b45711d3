// The instruction-set level that all kernels of this process run at. Levels are ordered: a machine that
// has one has all below it. The level is chosen once at start and also caps oneDNN.
#ifndef OCTET_BASE_CPU_ISA_H_
#define OCTET_BASE_CPU_ISA_H_

#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace octet {

enum class Isa {
  kScalar,      // plain C++ reference kernels; bypasses oneDNN
  kAvx2,        // AVX2 + FMA
  kAvx512,      // AVX-512 F, BW, CD, DQ, VL
  kAvx512Vnni,  // + VNNI: u8 x s8 dot products that cannot saturate
  kAvx512Bf16,  // + BF16 dot products
  kAvx512Amx,   // + AMX tiles for int8 (and BF16)
};

// "scalar", "avx2", "avx512", "avx512_vnni", "avx512_bf16", "avx512_amx".
absl::string_view IsaName(Isa isa);

// The highest level of this machine: CPUID and what the operating system saves.
Isa DetectIsa();

// Every level this machine can run, lowest first.
std::vector<Isa> SupportedIsas();

// The level named by `requested`, or the machine's highest one when that is empty. InvalidArgument for
// an unknown name (listing the valid ones), FailedPrecondition for one that this machine lacks.
absl::StatusOr<Isa> ResolveIsa(absl::string_view requested);

// Reads OCTET_ISA and resolves it as above.
absl::StatusOr<Isa> IsaFromEnvironment();

}  // namespace octet

#endif  // OCTET_BASE_CPU_ISA_H_
