// Cases of kernels that work on rows, and of pooling, which is made of them.
//
//   make bench-kernels ARGS="--benchmark_filter=Rows?/"
#include <benchmark/benchmark.h>

#include <functional>
#include <set>
#include <span>
#include <vector>

#include "base/aligned_buffer.h"
#include "base/matrix_view.h"
#include "bench/kernel_cases.h"
#include "kernels/kernel_table.h"
#include "kernels/pool.h"
#include "tests/kernels/test_matrix.h"

namespace octet::kernels {
namespace {

using benchmark::State;

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

// Rows of MiniLM and of BERT-base.
void ModelSizes(benchmark::internal::Benchmark* bench) { bench->Arg(384)->Arg(768)->Arg(1536)->Arg(3072); }

// One call of `kernel` an iteration, on `num_values` values.
template <class F>
void Run(State& state, size_t num_values, double bytes_per_value, const F& kernel) {
  for (auto _ : state) {
    kernel();
    benchmark::ClobberMemory();
  }
  state.SetBytesProcessed(static_cast<int64_t>(static_cast<double>(state.iterations()) * bytes_per_value *
                                               static_cast<double>(num_values)));
}

// One row of state.range(0) values, written anew each time (a GELU of a GELU of ... is denormal soon).
// Not by memcpy: from 4 KB up the C library's takes ten times as long on some processors.
void RunRow(State& state, double bytes_per_value, const std::function<void(size_t n, float* x)>& kernel) {
  const auto n = static_cast<size_t>(state.range(0));
  const std::vector<float> row = RandomFloats(n, 1), zeros(n);
  std::vector<float> x(n);
  Run(state, n, bytes_per_value, [&] {
    Kernels().add_row(row.data(), zeros.data(), n, x.data());
    kernel(n, x.data());
  });
}

// What the others of RunRow contain.
void WriteRow(State& state) {
  RunRow(state, 12, [](size_t, float*) {});
}
BENCHMARK(WriteRow)->Arg(384)->Arg(1536)->Arg(3072);

// As RunRow, without the write: for kernels that change nothing in a row that has been through them.
template <class F>
void RunRowAgain(State& state, double bytes_per_value, const F& kernel) {
  const auto n = static_cast<size_t>(state.range(0));
  auto x = Aligned(RandomFloats(n, 1));
  Run(state, n, bytes_per_value, [&] { kernel(n, x.data()); });
}

// Kernels of several rows: kMaxRowsAtOnce of state.range(0) values.
template <class F>
void RunRows(State& state, double bytes_per_value, const F& kernel) {
  const auto n = static_cast<size_t>(state.range(0));
  Run(state, n * kMaxRowsAtOnce, bytes_per_value, [&] { kernel(n); });
}

void QuantizeRowsBy(State& state, const RowQuantizer& quantizer) {
  const size_t size = static_cast<size_t>(state.range(0)) * kMaxRowsAtOnce;
  const auto x = Aligned(RandomFloats(size, 1));
  AlignedBuffer<uint8_t> q(size);
  RowQuantization quantizations[kMaxRowsAtOnce];
  RunRows(state, 5, [&](size_t n) {
    Kernels().quantize_rows_u8(x.data(), kMaxRowsAtOnce, quantizer, n, q.data(), quantizations);
  });
}

void QuantizeRows(State& state) { QuantizeRowsBy(state, {}); }
BENCHMARK(QuantizeRows)->Apply(InputSizes);

void QuantizeRowsSymmetric(State& state) { QuantizeRowsBy(state, {.range = RowRange::kSymmetric}); }
BENCHMARK(QuantizeRowsSymmetric)->Apply(ModelSizes);

// To +-2.5, where one value in 80 is clipped.
void QuantizeRowsFixed(State& state) { QuantizeRowsBy(state, {.range = RowRange::kFixed, .fixed = {0.02f, 128}}); }
BENCHMARK(QuantizeRowsFixed)->Apply(ModelSizes);

void QuantizeRowsFactors(State& state) {
  const auto factors = Aligned(RandomFloats(static_cast<size_t>(state.range(0)), 2));
  QuantizeRowsBy(state, {.factors = factors.data()});
}
BENCHMARK(QuantizeRowsFactors)->Apply(ModelSizes);

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
void HeadShapes(benchmark::internal::Benchmark* bench) { bench->Args({312, 26})->Args({384, 32})->Args({768, 64}); }
BENCHMARK_CAPTURE(QuantizeHeads, S16, &KernelTable::quantize_heads_s16, 8190)->Apply(HeadShapes);
BENCHMARK_CAPTURE(QuantizeHeads, S8, &KernelTable::quantize_heads_s8, 127)->Apply(HeadShapes);
BENCHMARK_CAPTURE(QuantizeHeads, U8, &KernelTable::quantize_heads_u8, 127)->Apply(HeadShapes);

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

void ReluRow(State& state) {
  RunRowAgain(state, 8, [](size_t n, float* x) { Kernels().relu_row(x, n); });
}
BENCHMARK(ReluRow)->Arg(1536)->Arg(3072);

void NormalizeRows(State& state, const float* residual_factors) {
  const auto cols = static_cast<size_t>(state.range(0));
  const auto x = Aligned(RandomFloats(cols * kMaxRowsAtOnce, 1)), residual = Aligned(RandomFloats(x.size(), 2)),
             gamma = Aligned(RandomFloats(cols, 3)), beta = Aligned(RandomFloats(cols, 4));
  AlignedBuffer<float> y(x.size());
  RunRows(state, 12, [&](size_t n) {
    Kernels().layer_norm_rows(x.data(), residual.data(), kMaxRowsAtOnce,
                              {gamma.data(), beta.data(), 1e-12f, residual_factors}, n, y.data());
  });
}

void LayerNormRows(State& state) { NormalizeRows(state, nullptr); }
BENCHMARK(LayerNormRows)->Apply(HiddenSizes);

void LayerNormRowsFactors(State& state) {
  const auto factors = Aligned(RandomFloats(static_cast<size_t>(state.range(0)), 5));
  NormalizeRows(state, factors.data());
}
BENCHMARK(LayerNormRowsFactors)->Arg(384)->Arg(768);

void ExpRow(State& state) {
  RunRow(state, 8, [](size_t n, float* x) { benchmark::DoNotOptimize(Kernels().exp_row(x, 0.1f, n)); });
}
BENCHMARK(ExpRow)->Arg(16)->Arg(128)->Arg(512);

// Of a head, as attention in f32 has it, and of a vector, as pooling has it. By 1, or a row would soon be denormal or infinite.
void ScaleRow(State& state) {
  RunRowAgain(state, 8, [](size_t n, float* x) { Kernels().scale_row(1.0f, x, n); });
}
BENCHMARK(ScaleRow)->Arg(32)->Arg(64)->Arg(384)->Arg(768);

void MaxRow(State& state) {
  const auto row = Aligned(RandomFloats(static_cast<size_t>(state.range(0)), 2));
  RunRowAgain(state, 12, [&](size_t n, float* y) { Kernels().max_row(row.data(), n, y); });
}
BENCHMARK(MaxRow)->Arg(384)->Arg(768);

void NarrowRow(State& state, void (*kernel)(const float*, size_t, uint16_t*)) {
  if (kernel == nullptr) return state.SkipWithError("no such kernel at this level");
  AlignedBuffer<uint16_t> y(static_cast<size_t>(state.range(0)));
  RunRowAgain(state, 6, [&](size_t n, const float* x) { kernel(x, n, y.data()); });
}

void F32ToF16Row(State& state) { NarrowRow(state, Kernels().f32_to_f16_row); }
BENCHMARK(F32ToF16Row)->Arg(384)->Arg(768);

void F32ToBf16Row(State& state) { NarrowRow(state, Kernels().f32_to_bf16_row); }
BENCHMARK(F32ToBf16Row)->Apply(ModelSizes);

void F16ToF32Row(State& state) {
  const auto values = RandomFloats(static_cast<size_t>(state.range(0)), 2);
  AlignedBuffer<uint16_t> x(values.size());
  Kernels().f32_to_f16_row(values.data(), values.size(), x.data());
  RunRowAgain(state, 6, [&](size_t n, float* y) { Kernels().f16_to_f32_row(x.data(), n, y); });
}
BENCHMARK(F16ToF32Row)->Arg(384)->Arg(768);

// A block of rows into columns, as keys are stored. Range: rows, columns.
void Transpose(State& state) {
  const auto rows = static_cast<size_t>(state.range(0)), cols = static_cast<size_t>(state.range(1));
  const auto src = RandomFloats(rows * cols, 1);
  std::vector<float> dst(rows * cols);
  Run(state, rows * cols, 8, [&] { Kernels().transpose(src.data(), cols, rows, cols, dst.data(), rows); });
}
BENCHMARK(Transpose)->Args({64, 384})->Args({64, 768});

// One vector from the rows of a text. Range: tokens, hidden size.
void Pool(State& state, void (*pool)(const KernelTable&, MatrixView<const float>, std::span<float>)) {
  const auto tokens = static_cast<size_t>(state.range(0)), hidden = static_cast<size_t>(state.range(1));
  const auto x = Aligned(RandomFloats(tokens * hidden, 1));
  AlignedBuffer<float> out(hidden);
  for (auto _ : state) {
    pool(Kernels(), {x.data(), tokens, hidden}, out.span());
    benchmark::ClobberMemory();
  }
}
void TextShapes(benchmark::internal::Benchmark* bench) {
  for (const int64_t hidden : {384, 768}) bench->Args({16, hidden})->Args({128, hidden})->Args({512, hidden});
}
BENCHMARK_CAPTURE(Pool, Mean, PoolMean)->Apply(TextShapes);
BENCHMARK_CAPTURE(Pool, Max, PoolMax)->Apply(TextShapes);
// Reads the first row only.
BENCHMARK_CAPTURE(Pool, Cls,
                  [](const KernelTable&, MatrixView<const float> tokens, std::span<float> out) {
                    PoolCls(tokens, out);
                  })
    ->Args({128, 384})
    ->Args({128, 768});

}  // namespace
}  // namespace octet::kernels
