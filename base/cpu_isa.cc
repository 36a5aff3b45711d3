#include "base/cpu_isa.h"

#include <cstdlib>

#include "absl/strings/str_cat.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>
#else
#error "octet has been written for and measured on x86-64 only: build it on an x86-64 machine"
#endif

namespace octet {
namespace {

struct IsaEntry {
  Isa isa;
  const char* name;
};

constexpr IsaEntry kIsas[] = {
    {Isa::kScalar, "scalar"},          {Isa::kAvx2, "avx2"},
    {Isa::kAvx512, "avx512"},          {Isa::kAvx512Vnni, "avx512_vnni"},
    {Isa::kAvx512Bf16, "avx512_bf16"}, {Isa::kAvx512Amx, "avx512_amx"},
};

struct CpuidLeaf {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
};

CpuidLeaf Cpuid(unsigned leaf, unsigned subleaf) {
  CpuidLeaf r;
  if (__get_cpuid_count(leaf, subleaf, &r.eax, &r.ebx, &r.ecx, &r.edx) == 0) return {};
  return r;
}

bool Bit(unsigned word, int bit) { return ((word >> bit) & 1u) != 0; }

// Bits of XCR0 that the operating system saves: Intel SDM volume 1, section 13.3.
constexpr unsigned kYmmState = 0x6;       // SSE and AVX
constexpr unsigned kZmmState = 0xE6;      // and opmask, ZMM_Hi256, Hi16_ZMM
constexpr unsigned kTileState = 0x60000;  // TILECFG and TILEDATA

__attribute__((target("xsave"))) unsigned SavedState() {
  const CpuidLeaf leaf1 = Cpuid(1, 0);
  constexpr int kOsxsaveBit = 27;
  return Bit(leaf1.ecx, kOsxsaveBit) ? static_cast<unsigned>(_xgetbv(0)) : 0;
}

// Linux hands out tile data only to processes that ask: arch_prctl(ARCH_REQ_XCOMP_PERM, XTILEDATA).
bool RequestTilePermission() {
  constexpr long kArchReqXcompPerm = 0x1023;
  constexpr long kXfeatureTileData = 18;
  return syscall(SYS_arch_prctl, kArchReqXcompPerm, kXfeatureTileData) == 0;
}

// Feature bits: Intel SDM volume 2A, CPUID leaves 1, 7.0 and 7.1.
Isa Detect() {
  const unsigned saved = SavedState();
  const CpuidLeaf leaf1 = Cpuid(1, 0), leaf7 = Cpuid(7, 0), leaf7_1 = Cpuid(7, 1);
  const bool has_fma = Bit(leaf1.ecx, 12), has_f16c = Bit(leaf1.ecx, 29);
  const bool has_avx2 = Bit(leaf7.ebx, 5) && Bit(leaf7.ebx, 3) && Bit(leaf7.ebx, 8);  // + BMI1, BMI2
  if ((saved & kYmmState) != kYmmState || !has_fma || !has_f16c || !has_avx2) return Isa::kScalar;
  const bool has_avx512 = Bit(leaf7.ebx, 16) && Bit(leaf7.ebx, 17) && Bit(leaf7.ebx, 28) && Bit(leaf7.ebx, 30) &&
                          Bit(leaf7.ebx, 31);  // F, DQ, CD, BW, VL
  if ((saved & kZmmState) != kZmmState || !has_avx512) return Isa::kAvx2;
  if (!Bit(leaf7.ecx, 11)) return Isa::kAvx512;       // AVX512_VNNI
  if (!Bit(leaf7_1.eax, 5)) return Isa::kAvx512Vnni;  // AVX512_BF16
  const bool has_amx = Bit(leaf7.edx, 22) && Bit(leaf7.edx, 24) && Bit(leaf7.edx, 25);
  // oneDNN gates AMX on AVX512_FP16 as well (avx512_core_amx contains avx512_core_fp16).
  const bool has_fp16 = Bit(leaf7.edx, 23);
  if (!has_amx || !has_fp16 || (saved & kTileState) != kTileState || !RequestTilePermission()) {
    return Isa::kAvx512Bf16;
  }
  return Isa::kAvx512Amx;
}

}  // namespace

absl::string_view IsaName(Isa isa) { return kIsas[static_cast<int>(isa)].name; }

Isa DetectIsa() {
  static const Isa isa = Detect();
  return isa;
}

std::vector<Isa> SupportedIsas() {
  std::vector<Isa> isas;
  for (const IsaEntry& entry : kIsas) {
    if (entry.isa <= DetectIsa()) isas.push_back(entry.isa);
  }
  return isas;
}

absl::StatusOr<Isa> ResolveIsa(absl::string_view requested) {
  if (requested.empty()) return DetectIsa();
  std::string names;
  for (const IsaEntry& entry : kIsas) {
    if (requested == entry.name) {
      if (entry.isa <= DetectIsa()) return entry.isa;
      return absl::FailedPreconditionError(
          absl::StrCat("OCTET_ISA: this machine has no ", requested, ", its highest level is ", IsaName(DetectIsa())));
    }
    absl::StrAppend(&names, names.empty() ? "" : ", ", entry.name);
  }
  return absl::InvalidArgumentError(absl::StrCat("OCTET_ISA: unknown level \"", requested, "\", valid are ", names));
}

absl::StatusOr<Isa> IsaFromEnvironment() {
  const char* value = std::getenv("OCTET_ISA");
  return ResolveIsa(value == nullptr ? "" : value);
}

}  // namespace octet
