// Matrix products on AMX tiles: TDPBF16PS and TDPBUSD, sixteen rows by sixteen columns by 64 bytes of depth an
// instruction. Two tiles of rows by two of columns share their factors, or one of rows by four of columns, so that four
// sums hide the instruction's latency. Each output element is one chain over depth, whatever rows and columns are beside
// it.
#include <immintrin.h>

#include <algorithm>
#include <cstring>

#include "base/rounding.h"
#include "kernels/int8_matmul.h"
#include "kernels/simd_kernels.h"

#define OCTET_TARGET_AMX __attribute__((target("avx512f,amx-tile,amx-bf16,amx-int8")))

namespace octet::kernels {
namespace {

constexpr size_t kTileRows = 16, kTileCols = 16;
constexpr size_t kRowBytes = 64;  // of any tile: steps of depth of a, columns of b and of sums
constexpr size_t kBlockRows = 2 * kTileRows;
constexpr size_t kMaxColTiles = 4;

enum class Elements { kBf16, kU8S8 };

// A product, in bytes.
struct Product {
  const uint8_t* a;
  size_t a_stride;  // between rows
  const uint8_t* b;
  size_t b_stride;       // between rows of a tile: two steps of depth of BF16, four of int8
  size_t b_tile_stride;  // between tiles of columns
  uint8_t* c;            // of four-byte elements
  size_t c_stride;
  size_t rows, cols;
  size_t depth;  // a multiple of kRowBytes
};

// Tiles 0 to 3: sums. 4, 5: a's rows. 6, 7: b's columns.
struct alignas(64) TileConfig {
  uint8_t palette = 1;
  uint8_t start_row = 0;
  uint8_t reserved[14] = {};
  uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  uint8_t rows[16] = {};

  // For blocks of `num_rows` rows, 1..kBlockRows.
  explicit TileConfig(size_t num_rows) {
    const bool two_rows = num_rows > kTileRows;
    const auto first = static_cast<uint8_t>(std::min(num_rows, kTileRows));
    const auto second = two_rows ? static_cast<uint8_t>(num_rows - kTileRows) : first;
    rows[0] = rows[1] = rows[4] = first;
    rows[2] = rows[3] = rows[5] = second;
    rows[6] = rows[7] = 16;
  }
};
static_assert(sizeof(TileConfig) == 64);

OCTET_TARGET_AMX inline void Load(const TileConfig& config) {
  asm volatile("" : : "r"(&config) : "memory");  // the intrinsic names only the first bytes as read
  _tile_loadconfig(&config);
}

// Not the intrinsics: those of g++ 12 want a tile's number as a digit.
template <int kTile>
OCTET_TARGET_AMX inline void LoadTile(const uint8_t* from, size_t stride) {
  asm volatile("tileloadd (%0,%1,1), %%tmm%c2" : : "r"(from), "r"(stride), "i"(kTile) : "memory");
}

template <int kTile>
OCTET_TARGET_AMX inline void StoreTile(void* to, size_t stride) {
  asm volatile("tilestored %%tmm%c2, (%0,%1,1)" : : "r"(to), "r"(stride), "i"(kTile) : "memory");
}

template <int kTile>
OCTET_TARGET_AMX inline void ZeroTile() {
  asm volatile("tilezero %%tmm%c0" : : "i"(kTile));
}

template <Elements kElements, int kSum, int kA, int kB>
OCTET_TARGET_AMX inline void AddProduct() {
  if constexpr (kElements == Elements::kBf16) {
    asm volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(kSum), "i"(kA), "i"(kB));
  } else {
    asm volatile("tdpbusd %%tmm%c2, %%tmm%c1, %%tmm%c0" : : "i"(kSum), "i"(kA), "i"(kB));
  }
}

// Rows [begin, end) of a tile.
struct TileRows {
  size_t begin = 0, end = 0;
};

// Up to two tiles of rows by up to four of columns, as many sums as there are tiles for them.
template <Elements kElements, int kRowTiles, int kColTiles>
class Block {
  static_assert(kRowTiles * kColTiles <= 4);

 public:
  // near: rows of the next columns' tiles that are brought near.
  OCTET_TARGET_AMX static void Run(const Product& p, size_t row, size_t rows, size_t col, TileRows near) {
    ForCols([]<int kCol>() OCTET_TARGET_AMX {
      ZeroTile<Sum(0, kCol)>();
      if constexpr (kRowTiles > 1) ZeroTile<Sum(1, kCol)>();
    });
    const uint8_t* a = p.a + row * p.a_stride;
    const uint8_t* b = p.b + col / kTileCols * p.b_tile_stride;
    const size_t a_stride = p.a_stride, b_stride = p.b_stride, b_tile_stride = p.b_tile_stride;
    for (size_t k = 0; k < p.depth; k += kRowBytes, a += kRowBytes, b += 16 * b_stride) {
      LoadTile<4>(a, a_stride);
      if constexpr (kRowTiles > 1) LoadTile<5>(a + kTileRows * a_stride, a_stride);
      ForCols([=]<int kCol>() OCTET_TARGET_AMX {
        constexpr int kB = 6 + kCol % 2;
        for (size_t r = near.begin; r < near.end; ++r) {
          _mm_prefetch(b + (kColTiles + kCol) * b_tile_stride + r * b_stride, _MM_HINT_T1);
        }
        LoadTile<kB>(b + kCol * b_tile_stride, b_stride);
        AddProduct<kElements, Sum(0, kCol), 4, kB>();
        if constexpr (kRowTiles > 1) AddProduct<kElements, Sum(1, kCol), 5, kB>();
      });
    }
    const size_t first = std::min(rows, kTileRows);
    ForCols([&]<int kCol>() OCTET_TARGET_AMX {
      Store<Sum(0, kCol)>(p, row, first, col + kCol * kTileCols);
      if constexpr (kRowTiles > 1) Store<Sum(1, kCol)>(p, row + kTileRows, rows - first, col + kCol * kTileCols);
    });
  }

 private:
  static constexpr int Sum(int row_tile, int col_tile) { return row_tile * 2 + col_tile; }

  template <typename Do>
  OCTET_TARGET_AMX static void ForCols(const Do& step) {
    step.template operator()<0>();
    if constexpr (kColTiles > 1) step.template operator()<1>();
    if constexpr (kColTiles > 2) step.template operator()<2>();
    if constexpr (kColTiles > 3) step.template operator()<3>();
  }

  // A tile of sums to rows [row, row + rows) of c.
  template <int kTile>
  OCTET_TARGET_AMX static void Store(const Product& p, size_t row, size_t rows, size_t col) {
    uint8_t* const c = p.c + row * p.c_stride + col * sizeof(int32_t);
    if (col + kTileCols <= p.cols) {
      StoreTile<kTile>(c, p.c_stride);
      return;
    }
    alignas(64) uint8_t whole[kTileRows * kRowBytes];
    StoreTile<kTile>(whole, kRowBytes);
    for (size_t r = 0; r < rows; ++r) {
      std::memcpy(c + r * p.c_stride, whole + r * kRowBytes, (p.cols - col) * sizeof(int32_t));
    }
  }
};

// Blocks of one size, of which the last two may share rows: so the tiles are configured once.
template <Elements kElements>
OCTET_TARGET_AMX void Multiply(const Product& p) {
  const size_t num_blocks = DivideUp(p.rows, kBlockRows);
  const size_t rows = DivideUp(p.rows, num_blocks);
  Load(TileConfig(rows));
  const size_t width = rows > kTileRows ? 2 : kMaxColTiles;
  for (size_t col = 0; col < p.cols; col += width * kTileCols) {
    const size_t col_tiles = std::min(DivideUp(p.cols - col, kTileCols), width);
    for (size_t i = 0; i < num_blocks; ++i) {
      const size_t row = std::min(i * rows, p.rows - rows);
      // Weights come from the last-level cache. With one block there is nothing to gain, since its own loads are as many, and
      // with BF16 nothing was gained.
      TileRows near;
      if (kElements == Elements::kU8S8 && num_blocks > 1)
        near = {kTileRows * i / num_blocks, kTileRows * (i + 1) / num_blocks};
      if (rows > kTileRows) {
        col_tiles == 2 ? Block<kElements, 2, 2>::Run(p, row, rows, col, near)
                       : Block<kElements, 2, 1>::Run(p, row, rows, col, near);
      } else if (col_tiles == 4) {
        Block<kElements, 1, 4>::Run(p, row, rows, col, near);
      } else if (col_tiles == 3) {
        Block<kElements, 1, 3>::Run(p, row, rows, col, near);
      } else if (col_tiles == 2) {
        Block<kElements, 1, 2>::Run(p, row, rows, col, near);
      } else {
        Block<kElements, 1, 1>::Run(p, row, rows, col, near);
      }
    }
  }
  _tile_release();
}

void MultiplyBf16(const GemmBf16& g) {
  constexpr size_t kPair = 2 * sizeof(uint16_t);
  Multiply<Elements::kBf16>({.a = reinterpret_cast<const uint8_t*>(g.a),
                             .a_stride = g.lda * sizeof(uint16_t),
                             .b = reinterpret_cast<const uint8_t*>(g.b),
                             .b_stride = kBf16PanelCols * kPair,
                             .b_tile_stride = kTileCols * kPair,
                             .c = reinterpret_cast<uint8_t*>(g.c),
                             .c_stride = g.ldc * sizeof(float),
                             .rows = g.rows,
                             .cols = g.cols,
                             .depth = g.depth * sizeof(uint16_t)});
}

// A panel is as wide as a tile, so that a tile's rows lie one after the other. Past a row's depth its last tile has what
// follows, times weights that are 0.
void MultiplyU8S8(const GemmU8S8& g) {
  static_assert(kAmxU8S8Layout.depth_unit == kRowBytes && kInt8OverreadBytes >= kRowBytes - 1);
  const size_t depth = RoundUp(g.depth, kAmxU8S8Layout.depth_unit);
  static_assert(kAmxU8S8Layout.cols == kTileCols && kAmxU8S8Layout.group * kTileCols == kRowBytes);
  Multiply<Elements::kU8S8>({.a = g.a,
                             .a_stride = g.depth,
                             .b = reinterpret_cast<const uint8_t*>(g.b),
                             .b_stride = kRowBytes,
                             .b_tile_stride = kTileCols * depth,
                             .c = reinterpret_cast<uint8_t*>(g.c),
                             .c_stride = g.cols * sizeof(int32_t),
                             .rows = g.rows,
                             .cols = g.cols,
                             .depth = depth});
}

}  // namespace

void (*AmxGemmBf16())(const GemmBf16&) { return MultiplyBf16; }
void (*AmxGemmU8S8())(const GemmU8S8&) { return MultiplyU8S8; }

}  // namespace octet::kernels
