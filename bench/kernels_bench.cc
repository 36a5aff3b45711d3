// Google Benchmark cases of the kernels, at the level of OCTET_ISA (else the machine's highest), one thread.
// Shapes are all-MiniLM-L6-v2's (hidden 384, intermediate 1536), BERT-base's (768, 3072) and some of other sizes. `ops` counts a
// multiply-add as two; `bytes` are those read and written.
//
//   make bench-kernels ARGS="--benchmark_filter=Int8"
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <set>
#include <vector>

#include "base/aligned_buffer.h"
#include "base/rounding.h"
#include "kernels/attention.h"
#include "kernels/int8_matmul.h"
#include "kernels/kernel_table.h"
#include "kernels/linear.h"
#include "tests/kernels/test_matrix.h"

namespace octet::kernels {
namespace {

using benchmark::Counter;
using benchmark::State;

Isa TheIsa() {
  static const Isa isa = [] {
    const auto from_environment = IsaFromEnvironment();
    if (from_environment.ok() && LimitOneDnn(*from_environment).ok()) return *from_environment;
    std::fprintf(stderr, "kernels_bench: %s\n", std::string(from_environment.status().message()).c_str());
    std::exit(2);
  }();
  return isa;
}

const KernelTable& Kernels() { return KernelsFor(TheIsa()); }

void CountOps(State& state, double ops_per_iteration) {
  state.counters["ops"] = Counter(ops_per_iteration, Counter::kIsIterationInvariantRate);
}

// Encoders whose passes tools/roofline.py adds up.
struct EncoderShape {
  int64_t hidden, intermediate, heads, head_dim;
};
constexpr EncoderShape kEncoders[] = {
    {256, 1024, 4, 64}, {312, 1200, 12, 26}, {384, 1536, 12, 32}, {768, 3072, 12, 64}, {1024, 4096, 16, 64}};

void HiddenSizes(benchmark::internal::Benchmark* bench) {
  for (const EncoderShape& encoder : kEncoders) bench->Arg(encoder.hidden);
}
void IntermediateSizes(benchmark::internal::Benchmark* bench) {
  for (const EncoderShape& encoder : kEncoders) bench->Arg(encoder.intermediate);
}
void InputSizes(benchmark::internal::Benchmark* bench) {
  std::set<int64_t> sizes;
  for (const EncoderShape& encoder : kEncoders) sizes.insert({encoder.hidden, encoder.intermediate});
  for (const int64_t size : sizes) bench->Arg(size);
}

// Row kernels: one row of state.range(0) values, written anew each time (a GELU of a GELU of ... is denormal soon).
// Not by memcpy: from 4 KB up the C library's takes ten times as long on some processors.
void RunRow(State& state, double bytes_per_value, const std::function<void(size_t n, float* x)>& kernel) {
  const auto n = static_cast<size_t>(state.range(0));
  const std::vector<float> row = RandomFloats(n, 1), zeros(n);
  std::vector<float> x(n);
  for (auto _ : state) {
    Kernels().add_row(row.data(), zeros.data(), n, x.data());
    kernel(n, x.data());
    benchmark::ClobberMemory();
  }
  state.SetBytesProcessed(
      static_cast<int64_t>(static_cast<double>(state.iterations()) * bytes_per_value * static_cast<double>(n)));
}

// What all the others contain.
void WriteRow(State& state) {
  RunRow(state, 12, [](size_t, float*) {});
}
BENCHMARK(WriteRow)->Arg(384)->Arg(1536)->Arg(3072);

// Kernels of several rows: kMaxRowsAtOnce of state.range(0) values.
template <class F>
void RunRows(State& state, double bytes_per_value, const F& kernel) {
  const auto n = static_cast<size_t>(state.range(0));
  for (auto _ : state) {
    kernel(n);
    benchmark::ClobberMemory();
  }
  state.SetBytesProcessed(static_cast<int64_t>(static_cast<double>(state.iterations()) * bytes_per_value *
                                               static_cast<double>(n * kMaxRowsAtOnce)));
}

// Aligned as the engine's: vectors that cross cache lines take twice as long.
template <typename T>
AlignedBuffer<T> Aligned(const std::vector<T>& values) {
  AlignedBuffer<T> copy(values.size());
  std::copy(values.begin(), values.end(), copy.data());
  return copy;
}

void QuantizeRows(State& state) {
  const size_t size = static_cast<size_t>(state.range(0)) * kMaxRowsAtOnce;
  const auto x = Aligned(RandomFloats(size, 1));
  AlignedBuffer<uint8_t> q(size);
  RowQuantization quantizations[kMaxRowsAtOnce];
  RunRows(state, 5,
          [&](size_t n) { Kernels().quantize_rows_u8(x.data(), kMaxRowsAtOnce, {}, n, q.data(), quantizations); });
}
BENCHMARK(QuantizeRows)->Apply(InputSizes);

template <typename T>
void QuantizeHeads(State& state, void (*KernelTable::*kernel)(const HeadRows<T>&), float limit) {
  const auto head_dim = static_cast<size_t>(state.range(1));
  std::vector<T> q(kMaxRowsAtOnce * static_cast<size_t>(state.range(0)) / head_dim * HeadSize<T>(head_dim));
  std::vector<float> scales(q.size() / head_dim);
  const auto x = RandomFloats(kMaxRowsAtOnce * static_cast<size_t>(state.range(0)), 1);
  RunRows(state, 4 + sizeof(T), [&](size_t n) {
    (Kernels().*kernel)({.x = x.data(),
                         .rows = kMaxRowsAtOnce,
                         .num_heads = n / head_dim,
                         .head_dim = head_dim,
                         .limit = limit,
                         .q = q.data(),
                         .scales = scales.data(),
                         .scale_stride = kMaxRowsAtOnce});
  });
}
BENCHMARK_CAPTURE(QuantizeHeads, S16, &KernelTable::quantize_heads_s16, 8190)
    ->Args({312, 26})
    ->Args({384, 32})
    ->Args({768, 64});
BENCHMARK_CAPTURE(QuantizeHeads, U8, &KernelTable::quantize_heads_u8, 127)
    ->Args({312, 26})
    ->Args({384, 32})
    ->Args({768, 64});

void DequantizeRows(State& state) {
  const auto cols = static_cast<size_t>(state.range(0));
  const auto acc = Aligned(RandomInts<int32_t>(cols * kMaxRowsAtOnce, 1, -100000, 100000)),
             sums = Aligned(RandomInts<int32_t>(cols, 2, -1000, 1000));
  const auto scales = Aligned(RandomFloats(cols, 3)), bias = Aligned(RandomFloats(cols, 4));
  AlignedBuffer<float> y(acc.size());
  const RowQuantization quantizations[kMaxRowsAtOnce] = {{0.01f, 120}, {0.02f, 1}, {0.01f, 255}, {0.03f, 90}};
  RunRows(state, 8, [&](size_t n) {
    Kernels().dequantize_rows(acc.data(), quantizations, kMaxRowsAtOnce, {sums.data(), scales.data(), bias.data()}, n,
                              y.data());
  });
}
BENCHMARK(DequantizeRows)->Arg(384)->Arg(1536)->Arg(3072);

void GeluErfRow(State& state) {
  RunRow(state, 8, [](size_t n, float* x) { Kernels().gelu_erf_row(x, n); });
}
BENCHMARK(GeluErfRow)->Arg(1536)->Arg(3072);

void GeluErfShortRow(State& state) {
  RunRow(state, 8, [](size_t n, float* x) { Kernels().gelu_erf_short_row(x, n); });
}
BENCHMARK(GeluErfShortRow)->Apply(IntermediateSizes);

void GeluTanhRow(State& state) {
  RunRow(state, 8, [](size_t n, float* x) { Kernels().gelu_tanh_row(x, n); });
}
BENCHMARK(GeluTanhRow)->Arg(1536)->Arg(3072);

void LayerNormRows(State& state) {
  const auto cols = static_cast<size_t>(state.range(0));
  const auto x = Aligned(RandomFloats(cols * kMaxRowsAtOnce, 1)), residual = Aligned(RandomFloats(x.size(), 2)),
             gamma = Aligned(RandomFloats(cols, 3)), beta = Aligned(RandomFloats(cols, 4));
  AlignedBuffer<float> y(x.size());
  RunRows(state, 12, [&](size_t n) {
    Kernels().layer_norm_rows(x.data(), residual.data(), kMaxRowsAtOnce, {gamma.data(), beta.data(), 1e-12f}, n,
                              y.data());
  });
}
BENCHMARK(LayerNormRows)->Apply(HiddenSizes);

void ExpRow(State& state) {
  RunRow(state, 8, [](size_t n, float* x) { benchmark::DoNotOptimize(Kernels().exp_row(x, 0.1f, n)); });
}
BENCHMARK(ExpRow)->Arg(16)->Arg(128)->Arg(512);

// A block of rows into columns, as keys are stored. Range: rows, columns.
void Transpose(State& state) {
  const auto rows = static_cast<size_t>(state.range(0)), cols = static_cast<size_t>(state.range(1));
  const auto src = RandomFloats(rows * cols, 1);
  std::vector<float> dst(rows * cols);
  for (auto _ : state) {
    Kernels().transpose(src.data(), cols, rows, cols, dst.data(), rows);
    benchmark::ClobberMemory();
  }
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(8 * rows * cols));
}
BENCHMARK(Transpose)->Args({64, 384})->Args({64, 768});

// Products of a linear layer. Range: rows, depth, columns.
void LinearShapes(benchmark::internal::Benchmark* bench) {
  for (const int64_t rows : {4, 16, 64}) {
    for (const int64_t hidden : {384, 768}) {
      bench->Args({rows, hidden, 3 * hidden})->Args({rows, hidden, hidden});
      bench->Args({rows, hidden, 4 * hidden})->Args({rows, 4 * hidden, hidden});
    }
  }
}

// Products of 32 rows, as of VNNI in a pass.
void VnniShapes(benchmark::internal::Benchmark* bench) {
  constexpr int64_t kRows = 32;
  for (const auto& [hidden, intermediate, heads, head_dim] : kEncoders) {
    bench->Args({kRows, hidden, hidden})->Args({kRows, hidden, intermediate})->Args({kRows, intermediate, hidden});
  }
}

void Multiply(State& state, LinearKind kind) {
  const auto rows = static_cast<size_t>(state.range(0)), depth = static_cast<size_t>(state.range(1)),
             cols = static_cast<size_t>(state.range(2));
  TheIsa();
  LinearFactory factory(TheIsa());
  const auto weights = RandomFloats(depth * cols, 1), bias = RandomFloats(cols, 2);
  const auto linear =
      factory.MakeLinear({.in_dim = depth, .out_dim = cols, .bias = bias, .f32 = weights}, {.kind = kind});
  if (!linear.ok()) return state.SkipWithError(std::string(linear.status().message()).c_str());
  InputBlock input(&Kernels(), rows, InputBlock::RowBytes(kind, depth));
  OutputBlock output(factory);
  input.Start((*linear)->input(), depth);
  for (size_t r = 0; r < rows; ++r) input.SetRows(r, 1, RandomFloats(depth, 3).data());
  for (auto _ : state) {
    (*linear)->Multiply(input, 0, rows, &output);
    benchmark::ClobberMemory();
  }
  CountOps(state, 2.0 * static_cast<double>(rows * depth * cols));
}
BENCHMARK_CAPTURE(Multiply, Int8, LinearKind::kInt8)->Apply(LinearShapes)->Apply(VnniShapes);
BENCHMARK_CAPTURE(Multiply, Bf16, LinearKind::kBf16)->Apply(LinearShapes);
BENCHMARK_CAPTURE(Multiply, F32, LinearKind::kF32)->Apply(LinearShapes);

// A block of 64 queries (fewer in a shorter text) over a whole text, all heads. Range: tokens, heads, head size.
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

// The three steps of integer attention for a tile of kMaxSoftmaxRows queries of one head, whose data stay in L1. Range: tokens,
// head size.
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

void TileShapes(benchmark::internal::Benchmark* bench) { bench->Args({128, 26})->Args({128, 32})->Args({128, 64}); }
BENCHMARK(AttentionScores)->Apply(TileShapes);
BENCHMARK(AttentionSoftmax)->Args({32, 32})->Args({64, 32})->Args({128, 32});
BENCHMARK(AttentionValues)->Apply(TileShapes);

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

BENCHMARK_MAIN();
