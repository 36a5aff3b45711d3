// The BF16 matrix product on AMX tiles: TDPBF16PS, sixteen rows by sixteen columns by 32 steps of depth an instruction. Two
// tiles of rows by two of columns share their factors. Each output element is one chain over depth, whatever rows and
// columns are beside it.
#include <immintrin.h>

#include <algorithm>
#include <cstring>

#include "kernels/simd_kernels.h"

#define OCTET_TARGET_AMX __attribute__((target("avx512f,amx-tile,amx-bf16")))

namespace octet::kernels {
namespace {

constexpr size_t kTileRows = 16, kTileCols = 16, kTileDepth = kBf16DepthUnit;
constexpr size_t kPanelStride = kBf16PanelCols * 2 * sizeof(uint16_t);  // bytes between pairs of depth

// Tiles 0 to 3: sums, [tile of rows][tile of columns]. 4, 5: a's rows. 6, 7: b's columns.
struct alignas(64) TileConfig {
  uint8_t palette = 1;
  uint8_t start_row = 0;
  uint8_t reserved[14] = {};
  uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  uint8_t rows[16] = {};

  // For `rows` rows, 1..32; a second tile of rows that is not used has one.
  explicit TileConfig(size_t num_rows) {
    const auto first = static_cast<uint8_t>(std::min(num_rows, kTileRows));
    const auto second = static_cast<uint8_t>(num_rows > kTileRows ? num_rows - kTileRows : 1);
    rows[0] = rows[1] = rows[4] = first;
    rows[2] = rows[3] = rows[5] = second;
    rows[6] = rows[7] = kTileDepth / 2;
  }
};
static_assert(sizeof(TileConfig) == 64);

OCTET_TARGET_AMX void Load(const TileConfig& config) {
  asm volatile("" : : "r"(&config) : "memory");  // the intrinsic names only the first bytes as read
  _tile_loadconfig(&config);
}

// Not _tile_stored: g++ 12 wants the tile's number as a digit.
template <int kTile>
OCTET_TARGET_AMX void StoreTile(float* to, size_t row_bytes) {
  asm volatile("tilestored %%tmm%c2, (%0,%1,1)" : : "r"(to), "r"(row_bytes), "i"(kTile) : "memory");
}

// A tile of sums to rows [row, row + rows) of c.
template <int kTile>
OCTET_TARGET_AMX void Store(const GemmBf16& g, size_t row, size_t rows, size_t col) {
  float* const c = g.c + row * g.ldc + col;
  if (col + kTileCols <= g.cols) {
    StoreTile<kTile>(c, g.ldc * sizeof(float));
    return;
  }
  alignas(64) float whole[kTileRows * kTileCols];
  StoreTile<kTile>(whole, kTileCols * sizeof(float));
  for (size_t r = 0; r < rows; ++r) {
    std::memcpy(c + r * g.ldc, whole + r * kTileCols, (g.cols - col) * sizeof(float));
  }
}

// One or two tiles of rows, one or two of columns.
template <bool kTwoRows, bool kTwoCols>
OCTET_TARGET_AMX void Block(const GemmBf16& g, size_t row, size_t rows, size_t col) {
  _tile_zero(0);
  if constexpr (kTwoCols) _tile_zero(1);
  if constexpr (kTwoRows) _tile_zero(2);
  if constexpr (kTwoRows && kTwoCols) _tile_zero(3);
  const uint16_t* const a = g.a + row * g.lda;
  const size_t a_stride = g.lda * sizeof(uint16_t);
  for (size_t k = 0; k < g.depth; k += kTileDepth) {
    const uint16_t* const b = g.b + k * kBf16PanelCols + col * 2;
    _tile_loadd(4, a + k, a_stride);
    _tile_loadd(6, b, kPanelStride);
    _tile_dpbf16ps(0, 4, 6);
    if constexpr (kTwoCols) {
      _tile_loadd(7, b + 2 * kTileCols, kPanelStride);
      _tile_dpbf16ps(1, 4, 7);
    }
    if constexpr (kTwoRows) {
      _tile_loadd(5, a + kTileRows * g.lda + k, a_stride);
      _tile_dpbf16ps(2, 5, 6);
      if constexpr (kTwoCols) _tile_dpbf16ps(3, 5, 7);
    }
  }
  const size_t first = std::min(rows, kTileRows);
  Store<0>(g, row, first, col);
  if constexpr (kTwoCols) Store<1>(g, row, first, col + kTileCols);
  if constexpr (kTwoRows) Store<2>(g, row + kTileRows, rows - kTileRows, col);
  if constexpr (kTwoRows && kTwoCols) Store<3>(g, row + kTileRows, rows - kTileRows, col + kTileCols);
}

OCTET_TARGET_AMX void Gemm(const GemmBf16& g) {
  constexpr size_t kBlockRows = 2 * kTileRows;
  for (size_t row = 0; row < g.rows; row += kBlockRows) {
    const size_t rows = std::min(g.rows - row, kBlockRows);
    if (row == 0 || rows < kBlockRows) Load(TileConfig(rows));
    for (size_t col = 0; col < g.cols; col += 2 * kTileCols) {
      const bool two_cols = g.cols > col + kTileCols;
      if (rows > kTileRows) {
        two_cols ? Block<true, true>(g, row, rows, col) : Block<true, false>(g, row, rows, col);
      } else {
        two_cols ? Block<false, true>(g, row, rows, col) : Block<false, false>(g, row, rows, col);
      }
    }
  }
  _tile_release();
}

}  // namespace

void (*AmxGemmBf16())(const GemmBf16&) { return Gemm; }

}  // namespace octet::kernels
