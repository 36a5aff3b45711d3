// Cases of attention: whole, its steps, and what stores its inputs.
//
//   make bench-kernels ARGS="--benchmark_filter=Attention"
#include "kernels/attention.h"

#include <benchmark/benchmark.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <vector>

#include "base/aligned_buffer.h"
#include "base/rounding.h"
#include "bench/kernel_cases.h"
#include "kernels/kernel_table.h"
#include "tests/kernels/test_matrix.h"

namespace octet::kernels {
namespace {

using benchmark::State;

// A block of 64 queries (fewer in a shorter text) over a whole text, all heads. Range: tokens, heads, head size. Beside the time: what a
// thread needs for it, and what the text's queries, keys and values take, in kB.
void Attention(State& state, AttentionKind kind) {
  const auto tokens = static_cast<size_t>(state.range(0));
  const AttentionShape shape{static_cast<size_t>(state.range(1)), static_cast<size_t>(state.range(2))};
  const size_t hidden = shape.hidden_dim(), queries = std::min<size_t>(tokens, kMaxProductRows);
  const auto x = RandomFloats(tokens * 3 * hidden, 1);
  std::vector<float> out(queries * hidden), block(AttentionInputs::BlockScratch(shape));
  AlignedBuffer<float> scratch(AttentionInputs::AttendScratch(kind, shape, tokens));
  const auto inputs = AttentionInputs::Create(kind, Kernels(), shape, tokens);
  for (size_t row = 0; row < tokens; ++row) {
    const float* part = x.data() + row * 3 * hidden;
    for (const auto projection : {Projection::kQuery, Projection::kKey, Projection::kValue}) {
      inputs->StoreRows(projection, row, 0, 1, part, block);
      part += hidden;
    }
    inputs->PlaceKeys(row, 1, block);
  }
  for (auto _ : state) {
    inputs->Attend({.first_row = 0, .num_queries = queries, .text_begin = 0, .text_tokens = tokens, .out = out.data()},
                   scratch.span());
    benchmark::ClobberMemory();
  }
  CountOps(state, 4.0 * static_cast<double>(queries * tokens * hidden));
  state.counters["thread_kB"] = static_cast<double>(scratch.bytes()) / 1e3;
  state.counters["text_kB"] = static_cast<double>(AttentionInputs::Bytes(kind, Kernels(), shape, tokens)) / 1e3;
}
void AttentionShapes(benchmark::internal::Benchmark* bench) {
  std::set<std::vector<int64_t>> shapes;
  for (const int64_t head_dim : {32, 64}) {
    for (const int64_t tokens : {16, 32, 64, 128, 256, 512}) shapes.insert({tokens, 12, head_dim});
  }
  for (const int64_t tokens : {1024, 2048, 4096, 8192}) shapes.insert({tokens, 12, 64});
  for (const EncoderShape& encoder : kEncoders) shapes.insert({128, encoder.heads, encoder.head_dim});
  for (const auto& shape : shapes) bench->Args(shape);
}
BENCHMARK_CAPTURE(Attention, F32, AttentionKind::kF32)->Apply(AttentionShapes);
BENCHMARK_CAPTURE(Attention, S16, AttentionKind::kS16)->Apply(AttentionShapes);
BENCHMARK_CAPTURE(Attention, S8, AttentionKind::kS8)->Apply(AttentionShapes);

// The steps of integer attention for a tile of kMaxSoftmaxRows queries of one head, whose data stay in L1. Range: tokens, head size.
struct AttentionTile {
  static constexpr size_t kRows = kMaxSoftmaxRows;

  explicit AttentionTile(const State& state)
      : tokens(static_cast<size_t>(state.range(0))),
        head_dim(static_cast<size_t>(state.range(1))),
        head_words(DivideUp(head_dim, sizeof(int32_t))),
        stride(RoundUp(tokens, kScoreCols)),
        queries(Aligned(RandomInts<int32_t>(kRows * head_words, 1, INT32_MIN, INT32_MAX))),
        keys(Aligned(RandomInts<int32_t>(head_words * stride, 2, INT32_MIN, INT32_MAX))),
        values(Aligned(RandomInts<int32_t>(stride / 2 * head_dim, 3, INT32_MIN, INT32_MAX))),
        less(Aligned(RandomInts<int32_t>(stride, 4, -100000, 100000))),
        scores(Aligned(RandomInts<int32_t>(kRows * stride, 5, -400000, 400000))),
        parts(Aligned(RandomInts<int16_t>(stride, 6, 16384, 32767))),
        query_scales(kRows, 1e-5f),
        p(Aligned(RandomInts<int16_t>(kRows * stride, 7, 0, 300))),
        sums(kRows * head_dim),
        factors(kRows) {}

  const size_t tokens, head_dim, head_words, stride;
  const AlignedBuffer<int32_t> queries, keys, values, less, scores;
  const AlignedBuffer<int16_t> parts;
  const std::vector<float> query_scales;
  AlignedBuffer<int16_t> p;
  AlignedBuffer<int32_t> sums;
  std::vector<float> factors;
};

// Of a text whose rows the tile's head is a part of.
constexpr size_t kTileHeads = 12;

void AttentionScores(State& state) {
  if (Kernels().gemm_u8s8_quads == nullptr) return state.SkipWithError("no such products at this level");
  const AttentionTile t(state);
  AlignedBuffer<int32_t> scores(t.kRows * t.stride);
  for (auto _ : state) {
    Kernels().gemm_u8s8_quads({{.a = t.queries.data(),
                                .lda = t.head_words,
                                .b = t.keys.data(),
                                .ldb = t.stride,
                                .c = scores.data(),
                                .ldc = t.stride,
                                .rows = t.kRows,
                                .cols = t.tokens,
                                .depth = t.head_words,
                                .pads_c = true},
                               t.less.data()});
    benchmark::ClobberMemory();
  }
}

void AttentionSoftmax(State& state) {
  AttentionTile t(state);
  for (auto _ : state) {
    Kernels().softmax_s16({.scores = t.scores.data(),
                           .score_shift = 12,
                           .queries = t.query_scales.data(),
                           .keys = {t.parts.data(), 1.0f},
                           .values = {t.parts.data(), 1.0f},
                           .rows = t.kRows,
                           .n = t.tokens,
                           .stride = t.stride,
                           .p = t.p.data(),
                           .factors = t.factors.data()});
    benchmark::ClobberMemory();
  }
}

void AttentionValues(State& state) {
  AttentionTile t(state);
  for (auto _ : state) {
    Kernels().gemm_s16({.a = reinterpret_cast<const int32_t*>(t.p.data()),
                        .lda = t.stride / 2,
                        .b = t.values.data(),
                        .ldb = t.head_dim,
                        .c = t.sums.data(),
                        .ldc = t.head_dim,
                        .rows = t.kRows,
                        .cols = t.head_dim,
                        .depth = t.tokens / 2});
    benchmark::ClobberMemory();
  }
}

// What follows a tile's products: its rows go to where the head stands in the output.
void AttentionScaleSums(State& state) {
  const AttentionTile t(state);
  const auto sums = Aligned(RandomInts<int32_t>(t.kRows * t.head_dim, 8, -1000000, 1000000));
  const auto factors = RandomFloats(t.kRows, 9);
  const size_t stride = kTileHeads * t.head_dim;
  AlignedBuffer<float> out(t.kRows * stride);
  for (auto _ : state) {
    Kernels().scale_s32_rows(sums.data(), factors.data(), t.kRows, t.head_dim, out.data(), stride);
    benchmark::ClobberMemory();
  }
}

// What a head of a text has once, for all tiles: its values as pairs, and its scales in fixed point (twice: of keys, of values).
void AttentionInterleave(State& state) {
  const AttentionTile t(state);
  const size_t hidden = kTileHeads * t.head_dim;
  const auto values = Aligned(RandomInts<int16_t>(t.tokens * hidden, 8, -2047, 2047));
  AlignedBuffer<int16_t> pairs(RoundUp(t.tokens, 2) * t.head_dim);
  for (auto _ : state) {
    Kernels().interleave_rows_s16(values.data(), hidden, t.tokens, t.head_dim, pairs.data());
    benchmark::ClobberMemory();
  }
}

void AttentionRelativeScales(State& state) {
  const auto tokens = static_cast<size_t>(state.range(0));
  auto scales = Aligned(RandomFloats(tokens, 8, 0.001f));
  for (float& scale : scales.span()) scale = 0.01f + std::abs(scale);
  AlignedBuffer<int16_t> parts(RoundUp(tokens, kScoreCols));
  for (auto _ : state) {
    benchmark::DoNotOptimize(Kernels().relative_scales(scales.data(), tokens, parts.data()));
    benchmark::ClobberMemory();
  }
}

void TileShapes(benchmark::internal::Benchmark* bench) { bench->Args({128, 26})->Args({128, 32})->Args({128, 64}); }
BENCHMARK(AttentionScores)->Apply(TileShapes);
BENCHMARK(AttentionSoftmax)->Args({32, 32})->Args({64, 32})->Args({128, 32});
BENCHMARK(AttentionValues)->Apply(TileShapes);
BENCHMARK(AttentionScaleSums)->Apply(TileShapes);
BENCHMARK(AttentionInterleave)->Apply(TileShapes);
BENCHMARK(AttentionRelativeScales)->Arg(32)->Arg(128)->Arg(512);

// What the epilogue of queries, keys and values stores of a block of 64 rows. Range: heads, head size.
void StoreAttentionInputs(State& state, AttentionKind kind) {
  const AttentionShape shape{static_cast<size_t>(state.range(0)), static_cast<size_t>(state.range(1))};
  constexpr size_t kRows = kMaxRowsAtOnce;
  const auto x = RandomFloats(kRows * shape.hidden_dim(), 2);
  std::vector<float> block(AttentionInputs::BlockScratch(shape));
  const auto inputs = AttentionInputs::Create(kind, Kernels(), shape, kMaxProductRows);
  for (auto _ : state) {
    for (const auto projection : {Projection::kQuery, Projection::kKey, Projection::kValue}) {
      for (size_t row = 0; row < kMaxProductRows; row += kRows) {
        inputs->StoreRows(projection, 0, row, kRows, x.data(), block);
      }
    }
    inputs->PlaceKeys(0, kMaxProductRows, block);
    benchmark::ClobberMemory();
  }
}
BENCHMARK_CAPTURE(StoreAttentionInputs, F32, AttentionKind::kF32)->Args({12, 32})->Args({12, 64});
BENCHMARK_CAPTURE(StoreAttentionInputs, S16, AttentionKind::kS16)->Args({12, 32})->Args({12, 64});
BENCHMARK_CAPTURE(StoreAttentionInputs, S8, AttentionKind::kS8)->Apply([](benchmark::internal::Benchmark* bench) {
  for (const EncoderShape& encoder : kEncoders) bench->Args({encoder.heads, encoder.head_dim});
});

}  // namespace
}  // namespace octet::kernels
