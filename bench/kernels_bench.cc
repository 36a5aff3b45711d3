// Google Benchmark cases of the kernels, at the level of OCTET_ISA (else the machine's highest), one thread. Here those of linear
// layers' products, and what a step of two threads costs; others are in row_kernels_bench.cc and attention_bench.cc. Shapes are
// all-MiniLM-L6-v2's (hidden 384, intermediate 1536), BERT-base's (768, 3072) and some of other sizes. `ops` counts a multiply-add
// as two; `bytes` are those read and written.
//
//   make bench-kernels ARGS="--benchmark_filter=Int8"
#include <benchmark/benchmark.h>

#include <string>

#include "bench/kernel_cases.h"
#include "kernels/linear.h"
#include "kernels/thread_team.h"
#include "tests/kernels/test_matrix.h"

namespace octet::kernels {
namespace {

using benchmark::State;

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
  LinearFactory factory(TheIsa());
  const auto weights = RandomFloats(depth * cols, 1), bias = RandomFloats(cols, 2);
  const auto linear =
      factory.MakeLinear({.in_dim = depth, .out_dim = cols, .bias = bias, .f32 = weights}, {.kind = kind});
  if (!linear.ok()) return state.SkipWithError(std::string(linear.status().message()).c_str());
  InputBlock input(&Kernels(), rows, InputBlock::RowBytes(kind, depth));
  OutputBlock output(factory);
  input.Start((*linear)->input(), depth);
  for (size_t r = 0; r < rows; ++r) input.SetRows(r, 1, RandomFloats(depth, 3).data());
  state.SetLabel(factory.implementation_names().front());
  // In a team of one, or oneDNN would take all processors.
  ThreadTeam(1).RunAlone([&](int) {
    for (auto _ : state) {
      (*linear)->Multiply(input, 0, rows, &output);
      benchmark::ClobberMemory();
    }
  });
  CountOps(state, 2.0 * static_cast<double>(rows * depth * cols));
}
BENCHMARK_CAPTURE(Multiply, Int8, LinearKind::kInt8)->Apply(LinearShapes)->Apply(VnniShapes);
BENCHMARK_CAPTURE(Multiply, Bf16, LinearKind::kBf16)->Apply(LinearShapes);
BENCHMARK_CAPTURE(Multiply, F32, LinearKind::kF32)->Apply(LinearShapes);

// Depths that the own kernel of VNNI does not take, being no multiple of 4: two more than those of models. The sums are not finished,
// where that kernel's are (DequantizeRows).
void OneDnnShapes(benchmark::internal::Benchmark* bench) {
  for (const int64_t rows : {4, 16, 64}) {
    for (const int64_t hidden : {384, 768}) {
      bench->Args({rows, hidden + 2, hidden})
          ->Args({rows, hidden + 2, 4 * hidden})
          ->Args({rows, 4 * hidden + 2, hidden});
    }
  }
}

void MultiplyByOneDnn(State& state) {
  if (TheIsa() < Isa::kAvx512Vnni || TheIsa() >= Isa::kAvx512Amx) {
    return state.SkipWithError("own kernels take every depth at this level");
  }
  Multiply(state, LinearKind::kInt8);
}
BENCHMARK(MultiplyByOneDnn)->Apply(OneDnnShapes);

// A step in which nothing is done: what it takes to start the threads and to wait for them, none of them asleep
// where each has a processor. Range: threads.
void ThreadTeamStep(State& state) {
  ThreadTeam team(static_cast<int>(state.range(0)));
  for (auto _ : state) team.Run([](int) {});
}
BENCHMARK(ThreadTeamStep)->Arg(1)->Arg(2)->UseRealTime();

}  // namespace
}  // namespace octet::kernels

BENCHMARK_MAIN();
