// The hand-written kernels, one table of them per instruction-set level. Most work on one row, so that no
// result can depend on which other rows share a batch or a block; the matrix product gives every output
// element its own sum in the order of `depth`, whatever the tile it falls in. Kernels do not allocate,
// log or fail, and are thread-safe. Pointers are non-null and need no alignment unless said otherwise.
#ifndef OCTET_KERNELS_KERNEL_TABLE_H_
#define OCTET_KERNELS_KERNEL_TABLE_H_

#include <cstddef>
#include <cstdint>

#include "base/cpu_isa.h"
#include "base/rounding.h"

namespace octet::kernels {

// real = scale * (q - zero_point), q in [0, 255].
struct RowQuantization {
  float scale = 1;
  int32_t zero_point = 0;
};

// Where the range of a row that is quantized comes from.
enum class RowRange {
  kAsymmetric,  // the row's own [min, max], widened to hold 0
  kSymmetric,   // the row's own [-m, m], m = max |x|; the zero point is 128, so q - 128 is a signed value
  kFixed,       // given; values outside are clipped
};

// How a row becomes u8.
struct RowQuantizer {
  RowRange range = RowRange::kAsymmetric;
  RowQuantization fixed = {};      // of kFixed: scale > 0, zero_point in [0, 255]
  const float* factors = nullptr;  // [n]: each value is multiplied by its factor first; null: none
};

// A sum of s8 weights as two 16-bit factors in the halves of 32 bits, low first: 128 * high + low, low in [0, 127]. Their
// products with (128 z, z) are added by one instruction, where a product of 32 bits takes two. `sum` is one of up to
// kMaxInt8Depth weights.
inline int32_t PairOfSum(int32_t sum) {
  return static_cast<int32_t>(static_cast<uint32_t>(sum >> 7) << 16) | (sum & 127);
}
inline constexpr size_t kMaxInt8Depth = 32767;
// That (128 z, z), in the same halves: z = -zero_point.
inline int32_t ZeroPointPair(int32_t zero_point) {
  const auto z = static_cast<uint32_t>(-zero_point);
  return static_cast<int32_t>((128 * z) << 16 | (z & 0xFFFFu));
}

// Per-column constants of an int8 product, each [n].
struct DequantizeColumns {
  const int32_t* column_sums;  // PairOfSum of the sum of the s8 weights of output channel c
  const float* weight_scales;
  const float* bias;
};

// Integers of type T that a head takes: whole words of 32 bits.
template <typename T>
constexpr size_t HeadSize(size_t head_dim) {
  return RoundUp(head_dim, sizeof(int32_t) / sizeof(T));
}

// Rows of heads that become integers of type T, with a scale for each row and head.
template <typename T>
struct HeadRows {
  const float* x;  // [rows, num_heads, head_dim]
  size_t rows, num_heads, head_dim;
  float limit;    // of the integers' absolute values
  T* q;           // [rows, num_heads, HeadSize]; past head_dim they are 0
  float* scales;  // [num_heads, rows], scale_stride between heads
  size_t scale_stride;
};
// Of heads that are all 0, small beside others': scales are looked at together.
inline constexpr float kZeroHeadScale = 1e-30f;
// What a u8 is above the integer that it stands for.
inline constexpr int32_t kHeadOffsetU8 = 128;

// Positive scales in fixed point: scale j is parts[j] / kWholeScale * largest.
struct RelativeScales {
  const int16_t* parts;  // [n, rounded up to kScoreCols], 0 past n; anything if `largest` is NaN
  float largest;         // NaN if one is
};
inline constexpr float kWholeScale = 32767.0f;

// The softmax of integer attention scores, for rows of up to kMaxSoftmaxRows queries over n keys. Score (r, j) is
// scores[r, j] * queries[r] * key j's scale. Vectors of scores and of p are whole: scores past n may be anything, and p
// there becomes anything but in the second half of a pair that n ends in, which becomes 0.
struct SoftmaxS16 {
  const int32_t* scores;  // [rows, stride]
  int score_shift;        // 0 to 16; all |scores| are below 2^(31 - score_shift)
  const float* queries;   // [rows], > 0
  RelativeScales keys;
  RelativeScales values;  // what weights are for
  size_t rows, n;
  size_t stride;   // of scores and p: a multiple of kScoreCols, >= n
  int16_t* p;      // [rows, stride]
  float* factors;  // [rows]
};
inline constexpr size_t kMaxSoftmaxRows = 24;
inline constexpr size_t kScoreCols = 32;
inline constexpr size_t kPaddedCols = 16;

// Rows that a kernel takes at once. The ends of a row's sums and ranges wait for each other, those of other rows need not.
inline constexpr size_t kMaxRowsAtOnce = 4;

struct LayerNormWeights {
  const float* gamma;  // [n]
  const float* beta;   // [n]
  float epsilon;
  const float* residual_factors = nullptr;  // [n], or null (ones): the residual is multiplied by them
};

// c[r, j] = sum over k of a[r, k] * b[k, j]; strides (ld*) in elements.
template <typename T>
struct GemmArgs {
  const T* a;  // [rows, depth]
  size_t lda;
  const T* b;  // [depth, cols]
  size_t ldb;
  T* c;  // [rows, cols]
  size_t ldc;
  size_t rows, cols, depth;
  const T* next_b = nullptr;  // a hint: [depth, cols] with the same stride, wanted soon
  bool pads_c = false;        // c past `cols`, up to a multiple of kPaddedCols, may become anything
};
using GemmF32 = GemmArgs<float>;
// An element of a and b is a pair of s16, (x, y) * (u, v) = x u + y v; the sums must fit s32, and are exact.
using GemmS16 = GemmArgs<int32_t>;
// An element of a is a quad of u8, one of b a quad of s8. less[j] is taken from every sum of column j; null: nothing is.
struct GemmU8S8Quads : GemmArgs<int32_t> {
  const int32_t* less;  // [cols]
};

// As GemmF32 with BF16 factors: a is [rows, depth]; b is one panel of kBf16PanelCols columns, pairs of
// depth interleaved: b[(k / 2) * kBf16PanelCols * 2 + j * 2 + k % 2]. depth is a multiple of kBf16DepthUnit.
struct GemmBf16 {
  const uint16_t* a;
  size_t lda;
  const uint16_t* b;
  float* c;
  size_t ldc;
  size_t rows, cols, depth;  // cols <= kBf16PanelCols
};

// Columns of a packed BF16 weight panel: four 512-bit vectors of f32, the most that fit the register file
// beside six rows of accumulators (6 x 4 + 4 + 1 of 32 registers).
inline constexpr size_t kBf16PanelCols = 64;

// Both factors have zeros up to the next multiple: an AMX tile's depth.
inline constexpr size_t kBf16DepthUnit = 32;

// Bounds of fixed-point attention. The sum of a query's p is below 2^20 + n / 2; values are at most 2^11 - 1: so sums of their
// products fit s32, and sums of weights of 15 bits, for texts of up to 65,000 tokens.
inline constexpr float kSoftmaxS16Sum = 1e6f;
inline constexpr float kValueLimitS16 = 2047.0f;

struct KernelTable {
  // Kernels of several rows take up to kMaxRowsAtOnce, dense: x is [rows, n], as are the results.

  // q[c] = clamp(round_half_even(v[c] * (1 / scale)) + zero_point, 0, 255), the product unrounded, v[c] = x[c] or
  // x[c] * factors[c]. Over a row's own range [min, max]: scale = max / 255 - min / 255, zero_point = round(-min / scale); a row of zeros gets
  // scale 1. A row with a NaN or an infinity gets scale NaN, so that everything computed from it is NaN: seen, not
  // swallowed. quantizations: [rows].
  void (*quantize_rows_u8)(const float* x, size_t rows, const RowQuantizer& quantizer, size_t n, uint8_t* q,
                           RowQuantization* quantizations);

  // y[c] = (acc[c] - zero_point * column sum c) * (scale * weight_scales[c]) + bias[c], one rounding in each float
  // operation, multiply-add fused. The difference fits s32 for sums of up to kMaxInt8Depth products.
  // quantizations: [rows].
  void (*dequantize_rows)(const int32_t* acc, const RowQuantization* quantizations, size_t rows,
                          const DequantizeColumns& columns, size_t n, float* y);

  // y[c] = x[c] + bias[c]. x and y may be the same.
  void (*add_row)(const float* x, const float* bias, size_t n, float* y);

  // x[c] = 0.5 x (1 + erf(x / sqrt 2)), absolute error below 2e-6; in place. Hendrycks and Gimpel 2016.
  void (*gelu_erf_row)(float* x, size_t n);
  // The same within 2e-4, where the result is rounded to 8 bits: their steps are 7e-4 or more.
  void (*gelu_erf_short_row)(float* x, size_t n);
  // The tanh form: 0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))).
  void (*gelu_tanh_row)(float* x, size_t n);
  void (*relu_row)(float* x, size_t n);

  // h = x + residual * residual_factors; y = (h - mean(h)) / sqrt(variance(h) + epsilon) * gamma + beta. Ba et al. 2016.
  // residual may be null (zero). y may be x or residual.
  void (*layer_norm_rows)(const float* x, const float* residual, size_t rows, const LayerNormWeights& weights, size_t n,
                          float* y);

  // x[c] = exp((x[c] - max(x)) * scale), in place; returns the sum. n >= 1, scale > 0.
  float (*exp_row)(float* x, float scale, size_t n);

  // x[c] *= factor.
  void (*scale_row)(float factor, float* x, size_t n);

  // y[c] = max(y[c], x[c]).
  void (*max_row)(const float* x, size_t n, float* y);

  // IEEE binary16 to f32.
  void (*f16_to_f32_row)(const uint16_t* x, size_t n, float* y);
  // And back, rounded to nearest even. |x| <= 65504.
  void (*f32_to_f16_row)(const float* x, size_t n, uint16_t* y);

  // dst[c, r] = src[r, c]: rows x cols elements, strides in elements. Moves bits: any 32-bit elements will do.
  void (*transpose)(const float* src, size_t src_stride, size_t rows, size_t cols, float* dst, size_t dst_stride);

  // Each head of each row: q = round_half_even(x / scale), scale = max|x| / limit; as u8 with kHeadOffsetU8 added. A head
  // of zeros (below 1e-30) gets the scale kZeroHeadScale; one with a NaN or an infinity scale NaN and zeros. limit: < 32768, < 128.
  void (*quantize_heads_s16)(const HeadRows<int16_t>& args);
  void (*quantize_heads_s8)(const HeadRows<int8_t>& args);
  void (*quantize_heads_u8)(const HeadRows<uint8_t>& args);

  // pairs[r / 2, c, r % 2] = src[r, c]: two rows become one of pairs, of cols elements each; an odd last row's partner is
  // zeros. src: [rows, cols] with `stride` elements between rows.
  void (*interleave_rows_s16)(const int16_t* src, size_t stride, size_t rows, size_t cols, int16_t* pairs);

  // parts[j] = round_half_even(scales[j] / the largest * kWholeScale), as RelativeScales has them. Returns the largest. scales:
  // [n], > 0 or NaN.
  float (*relative_scales)(const float* scales, size_t n, int16_t* parts);

  // In integers all through, so all levels have the same bits (softmax_s16.h). For each row, with e[j] = exp(score j - the
  // largest): p[j] is about f e[j] value j's part, where f is min(1, kSoftmaxS16Sum / (2^15 sum of e)), so that the sum of p
  // is not much above kSoftmaxS16Sum; sums of p[j] * (integer value j) times factors[r] are attention's output. NaN if any
  // scale is. Weights have 15 bits: one below 2^-16 of the largest is 0.
  void (*softmax_s16)(const SoftmaxS16& args);

  // y[r, c] = x[r, c] * factors[r]. x: [rows, n], dense; y_stride between rows of y.
  void (*scale_s32_rows)(const int32_t* x, const float* factors, size_t rows, size_t n, float* y, size_t y_stride);

  void (*gemm_f32)(const GemmF32& args);
  void (*gemm_s16)(const GemmS16& args);
  // Null where no instruction makes such products exactly.
  void (*gemm_u8s8_quads)(const GemmU8S8Quads& args);
  // Columns of its widest register tile. A weight matrix kept in panels of this width is read in one stream.
  size_t gemm_f32_panel_cols;

  // Null where the level has no BF16 dot products.
  void (*gemm_bf16)(const GemmBf16& args);
  // Round to nearest even; null with gemm_bf16.
  void (*f32_to_bf16_row)(const float* x, size_t n, uint16_t* y);
};

// The kernels of a level. The machine must have it (base/cpu_isa.h).
const KernelTable& KernelsFor(Isa isa);

}  // namespace octet::kernels

#endif  // OCTET_KERNELS_KERNEL_TABLE_H_
