// Parts of the kernel tables that come from Highway sources, per level. Internal to this folder.
#ifndef OCTET_KERNELS_SIMD_KERNELS_H_
#define OCTET_KERNELS_SIMD_KERNELS_H_

#include "kernels/kernel_table.h"
#include "kernels/panels.h"

namespace octet::kernels {

// c[r, j] = sum over k of a[r, k] b[k, j], exact while it fits s32. b: panels of kS16PanelCols columns, in each of
// them pairs of depth interleaved: b[panel][k / 2][j % kS16PanelCols][k % 2], cols rounded up. depth is even.
struct GemmS16S8 {
  const int16_t* a;  // [rows, depth]
  const int8_t* b;
  int32_t* c;  // [rows, cols]
  size_t rows, cols, depth;
};

// c[r, j] = sum over k of a[r, k] b[k, j], exact in s32. b: panels of kAmxU8S8Layout.
struct GemmU8S8 {
  const uint8_t* a;  // [rows, depth], and up to kInt8OverreadBytes more are read
  const int8_t* b;
  int32_t* c;  // [rows, cols]
  size_t rows, cols, depth;
};
inline constexpr PanelLayout kAmxU8S8Layout = {.cols = 16, .group = 4, .depth_unit = 64};

// y = what KernelTable::dequantize_rows, and then gelu_erf_short_row if has_gelu, make of such a product, which is not stored:
// in registers between the products of tiles, never long at a time, since the clock falls where floats alone are computed.
// Up to kMaxProductRows rows; depth is a multiple of 4.
struct LinearU8S8 {
  const uint8_t* a;                      // [rows, depth]
  const RowQuantization* quantizations;  // [rows]
  const int8_t* b;                       // panels of kVnniU8S8Layout, at a cache line
  DequantizeColumns columns;             // [cols, rounded up to whole panels]
  bool has_gelu;
  float* y;  // [rows, cols]
  size_t rows, cols, depth;
};
inline constexpr PanelLayout kVnniU8S8Layout = {.cols = 48, .group = 4, .depth_unit = 4};

// Row kernels of attention in integers, as in the KernelTable.
struct IntegerAttentionKernels {
  decltype(KernelTable::quantize_heads_s16) quantize_heads_s16;
  decltype(KernelTable::quantize_heads_s8) quantize_heads_s8;
  decltype(KernelTable::quantize_heads_u8) quantize_heads_u8;
  decltype(KernelTable::interleave_rows_s16) interleave_rows;
  decltype(KernelTable::relative_scales) relative_scales;
  decltype(KernelTable::softmax_s16) softmax;
  decltype(KernelTable::scale_s32_rows) scale_sums;
};

// Two AVX2 vectors of s32, one of AVX-512: the width of a register tile.
inline constexpr size_t kS16PanelCols = 16;

// Rows of the next register tile when `left` rows are left and a tile holds up to `max_rows`: the last two share what
// is left, since a tile of one or two rows takes nearly as long as one of four.
inline size_t NextTileRows(size_t left, size_t max_rows) {
  if (left >= 2 * max_rows || left <= max_rows) return left < max_rows ? left : max_rows;
  return (left + 1) / 2;
}

// Of the file named after the function; `isa` is kAvx2 or kAvx512. These run on machines that lack the level, so
// they only hand out what was put together at compile time: a function compiled for a level may use its
// instructions anywhere, even to store a few pointers.
const KernelTable& SimdRowKernels(Isa isa);  // products and kernels of integer attention are null
const IntegerAttentionKernels& SimdIntegerAttention(Isa isa);
void (*SimdGemmF32(Isa isa))(const GemmF32&);
void (*SimdGemmS16(Isa isa))(const GemmS16&);
size_t SimdGemmF32PanelCols(Isa isa);
void (*SimdGemmS16S8(Isa isa))(const GemmS16S8&);
// These need a machine at kAvx512Vnni, kAvx512Bf16 and kAvx512Amx only when the kernels run.
void (*VnniGemmS16())(const GemmS16&);
void (*VnniGemmU8S8Quads())(const GemmU8S8Quads&);
void (*VnniLinearU8S8())(const LinearU8S8&);
void FillGemmBf16(KernelTable* table);
void (*AmxGemmBf16())(const GemmBf16&);
void (*AmxGemmU8S8())(const GemmU8S8&);

}  // namespace octet::kernels

#endif  // OCTET_KERNELS_SIMD_KERNELS_H_
