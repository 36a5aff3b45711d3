// Attention and pooling against plain double-precision formulas; bits do not depend on how queries are cut.
#include "kernels/attention.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <string>

#include "base/cpu_isa.h"
#include "kernels/pool.h"
#include "kernels/scalar_kernels.h"
#include "tests/kernels/test_matrix.h"

namespace octet::kernels {
namespace {

struct Problem {
  AttentionShape shape;
  size_t tokens;
  std::vector<float> q, k, v;

  Problem(AttentionShape s, size_t n)
      : shape(s),
        tokens(n),
        q(RandomFloats(n * s.hidden_dim(), 1, 2)),
        k(RandomFloats(n * s.hidden_dim(), 2, 2)),
        v(RandomFloats(n * s.hidden_dim(), 3)) {}

  // Queries [begin, end) through the kernel.
  std::vector<float> Run(const KernelTable& kernels, size_t begin, size_t end) const {
    const size_t hidden = shape.hidden_dim();
    std::vector<float> k_transposed(hidden * tokens), out((end - begin) * hidden);
    ScalarKernels().transpose(k.data(), hidden, tokens, hidden, k_transposed.data(), tokens);
    std::vector<float> scratch(AttentionScratchSize(tokens));
    Attend(kernels, shape,
           {q.data() + begin * hidden, hidden, k_transposed.data(), tokens, v.data(), hidden, out.data(), hidden,
            end - begin, tokens},
           scratch);
    return out;
  }

  std::vector<double> Expected() const {
    const size_t hidden = shape.hidden_dim(), dim = shape.head_dim;
    std::vector<double> out(tokens * hidden, 0), p(tokens);
    for (size_t h = 0; h < shape.num_heads; ++h) {
      for (size_t i = 0; i < tokens; ++i) {
        double max = -1e300, sum = 0;
        for (size_t j = 0; j < tokens; ++j) {
          p[j] = 0;
          for (size_t d = 0; d < dim; ++d) p[j] += double{q[i * hidden + h * dim + d]} * k[j * hidden + h * dim + d];
          p[j] /= std::sqrt(static_cast<double>(dim));
          max = std::max(max, p[j]);
        }
        for (double& x : p) sum += x = std::exp(x - max);
        for (size_t j = 0; j < tokens; ++j) {
          for (size_t d = 0; d < dim; ++d) out[i * hidden + h * dim + d] += p[j] / sum * v[j * hidden + h * dim + d];
        }
      }
    }
    return out;
  }
};

class AttentionTest : public testing::TestWithParam<Isa> {};
INSTANTIATE_TEST_SUITE_P(Isas, AttentionTest, testing::ValuesIn(SupportedIsas()),
                         [](const auto& isa_info) { return std::string(IsaName(isa_info.param)); });

TEST_P(AttentionTest, MatchesTheFormula) {
  for (const AttentionShape shape : {AttentionShape{2, 32}, {1, 64}, {3, 26}}) {
    for (const size_t tokens : {1, 2, 13, 65, 130}) {
      const Problem problem(shape, tokens);
      const auto actual = problem.Run(KernelsFor(GetParam()), 0, tokens);
      const auto expected = problem.Expected();
      // Scores up to ~60 rounded in f32 (2^-24 * 60 * a few) enter exp: relative 2e-5 of values of size 4.
      for (size_t i = 0; i < actual.size(); ++i) ASSERT_NEAR(actual[i], expected[i], 1e-4) << tokens << " at " << i;
    }
  }
}

TEST_P(AttentionTest, AQueryHasTheSameBitsHoweverQueriesAreCut) {
  const Problem problem({2, 32}, 70);
  const auto& kernels = KernelsFor(GetParam());
  const auto whole = problem.Run(kernels, 0, 70);
  for (const size_t cut : {1, 5, 12, 13, 33, 69}) {
    auto first = problem.Run(kernels, 0, cut);
    const auto second = problem.Run(kernels, cut, 70);
    first.insert(first.end(), second.begin(), second.end());
    EXPECT_EQ(std::memcmp(first.data(), whole.data(), whole.size() * sizeof(float)), 0) << cut;
  }
}

TEST_P(AttentionTest, PoolsMatchTheirDefinitions) {
  constexpr size_t kTokens = 9, kDim = 37;
  const auto& kernels = KernelsFor(GetParam());
  const auto x = RandomFloats(kTokens * kDim, 5);
  const MatrixView<const float> tokens(x.data(), kTokens, kDim);
  std::vector<float> mean(kDim), cls(kDim), max(kDim);
  PoolMean(kernels, tokens, mean);
  PoolCls(tokens, cls);
  PoolMax(kernels, tokens, max);
  for (size_t c = 0; c < kDim; ++c) {
    double sum = 0;
    float largest = x[c];
    for (size_t r = 0; r < kTokens; ++r) {
      sum += x[r * kDim + c];
      largest = std::max(largest, x[r * kDim + c]);
    }
    EXPECT_NEAR(mean[c], sum / kTokens, 1e-6);
    EXPECT_EQ(cls[c], x[c]);
    EXPECT_EQ(max[c], largest);
  }
}

}  // namespace
}  // namespace octet::kernels
