#include "kernels/kernel_table.h"

#include "kernels/scalar_kernels.h"
#include "kernels/simd_kernels.h"

namespace octet::kernels {
namespace {

KernelTable MakeTable(Isa isa) {
  if (isa == Isa::kScalar) {
    KernelTable table = ScalarKernels();
    table.gemm_bf16 = nullptr;  // a reference for tests, not a level's own
    table.f32_to_bf16_row = nullptr;
    return table;
  }
  const Isa vectors = isa >= Isa::kAvx512 ? Isa::kAvx512 : Isa::kAvx2;
  KernelTable table = SimdRowKernels(vectors);
  const IntegerAttentionKernels& attention = SimdIntegerAttention(vectors);
  table.quantize_heads_s16 = attention.quantize_heads_s16;
  table.quantize_heads_s8 = attention.quantize_heads_s8;
  table.quantize_heads_u8 = attention.quantize_heads_u8;
  table.interleave_rows_s16 = attention.interleave_rows;
  table.relative_scales = attention.relative_scales;
  table.softmax_s16 = attention.softmax;
  table.scale_s32_rows = attention.scale_sums;
  table.gemm_f32 = SimdGemmF32(vectors);
  table.gemm_s16 = isa >= Isa::kAvx512Vnni ? VnniGemmS16() : SimdGemmS16(vectors);
  table.gemm_u8s8_quads = isa >= Isa::kAvx512Vnni ? VnniGemmU8S8Quads() : nullptr;
  table.gemm_f32_panel_cols = SimdGemmF32PanelCols(vectors);
  if (isa >= Isa::kAvx512Bf16) FillGemmBf16(&table);
  if (isa >= Isa::kAvx512Amx) table.gemm_bf16 = AmxGemmBf16();
  return table;
}

}  // namespace

const KernelTable& KernelsFor(Isa isa) {
  static const KernelTable tables[] = {
      MakeTable(Isa::kScalar),     MakeTable(Isa::kAvx2),       MakeTable(Isa::kAvx512),
      MakeTable(Isa::kAvx512Vnni), MakeTable(Isa::kAvx512Bf16), MakeTable(Isa::kAvx512Amx),
  };
  return tables[static_cast<int>(isa)];
}

}  // namespace octet::kernels
