// Attention and pooling against plain double-precision formulas; bits do not depend on how queries are cut.
#include "kernels/attention.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <span>
#include <string>
#include <tuple>

#include "base/cpu_isa.h"
#include "kernels/int8_matmul.h"
#include "kernels/pool.h"
#include "kernels/scalar_kernels.h"
#include "tests/kernels/test_matrix.h"

namespace octet::kernels {
namespace {

constexpr size_t kMaxQueries = 120;  // at once

constexpr AttentionKind kKinds[] = {AttentionKind::kF32, AttentionKind::kS16, AttentionKind::kS8};

std::string KindName(AttentionKind kind) {
  switch (kind) {
    case AttentionKind::kF32:
      return "f32";
    case AttentionKind::kS16:
      return "s16";
    case AttentionKind::kS8:
      return "s8";
  }
  return "?";
}

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

  // Queries [begin, end) of the text, which begins at row `text_begin` of its batch and whose keys and values were
  // written in blocks of `block_rows` rows.
  std::vector<float> Run(AttentionKind kind, const KernelTable& kernels, size_t begin, size_t end,
                         size_t text_begin = 0, size_t block_rows = kMaxProductRows) const {
    const size_t hidden = shape.hidden_dim();
    const auto inputs = AttentionInputs::Create(kind, kernels, shape, text_begin + tokens + 3);
    std::vector<float> block(AttentionInputs::BlockScratch(shape));
    // In parts of three rows, as a layer's epilogue does.
    const auto store = [&](size_t at, size_t num_rows, const float* query, const float* key, const float* value) {
      const auto store_one = [&](Projection projection, const float* x) {
        for (size_t r = 0; r < num_rows; r += 3) {
          inputs->StoreRows(projection, at, r, std::min<size_t>(3, num_rows - r), x + r * hidden, block);
        }
      };
      store_one(Projection::kQuery, query);
      store_one(Projection::kKey, key);
      inputs->PlaceKeys(at, num_rows, block);
      store_one(Projection::kValue, value);
    };
    // Neighbours that would be seen.
    const std::vector<float> others(3 * hidden, 1e6f);
    const auto store_others = [&](size_t at, size_t num_rows) {
      store(at, num_rows, others.data(), others.data(), others.data());
    };
    for (size_t at = 0; at < text_begin; ++at) store_others(at, 1);
    for (size_t row = 0; row < tokens; row += block_rows) {
      const size_t first = row * hidden;
      store(text_begin + row, std::min(block_rows, tokens - row), q.data() + first, k.data() + first, v.data() + first);
    }
    store_others(text_begin + tokens, 3);
    std::vector<float> out((end - begin) * hidden);
    std::vector<float> scratch(AttentionInputs::AttendScratch(kind, shape, tokens));
    for (size_t at = begin; at < end; at += kMaxQueries) {
      inputs->Attend({.first_row = text_begin + at,
                      .num_queries = std::min(kMaxQueries, end - at),
                      .text_begin = text_begin,
                      .text_tokens = tokens,
                      .out = out.data() + (at - begin) * hidden},
                     scratch);
    }
    return out;
  }

  // With queries and keys rounded to integers of up to `limit`, of each row and head.
  Problem WithScoresOf(float limit) const {
    Problem rounded = *this;
    for (auto* part : {&rounded.q, &rounded.k}) {
      for (size_t begin = 0; begin < part->size(); begin += shape.head_dim) {
        const std::span<float> head(part->data() + begin, shape.head_dim);
        float max = 0;
        for (const float x : head) max = std::max(max, std::abs(x));
        for (float& x : head) x = std::nearbyint(x * (limit / max)) * (max / limit);
      }
    }
    return rounded;
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

class AttentionTest : public testing::TestWithParam<std::tuple<Isa, AttentionKind>> {
 protected:
  const KernelTable& kernels_ = KernelsFor(std::get<0>(GetParam()));
  const AttentionKind kind_ = std::get<1>(GetParam());
};
INSTANTIATE_TEST_SUITE_P(Isas, AttentionTest,
                         testing::Combine(testing::ValuesIn(SupportedIsas()), testing::ValuesIn(kKinds)),
                         [](const auto& param_info) {
                           return std::string(IsaName(std::get<0>(param_info.param))) + "_" +
                                  KindName(std::get<1>(param_info.param));
                         });

TEST_P(AttentionTest, MatchesTheFormula) {
  for (const AttentionShape shape : {AttentionShape{2, 32}, {1, 64}, {1, 96}, {3, 26}}) {
    for (const size_t tokens : {1, 2, 13, 65, 130}) {
      const Problem problem(shape, tokens);
      const auto actual = problem.Run(kind_, kernels_, 0, tokens);
      // Queries and keys of 8 bits are what the format says; what follows is as exact as with 16.
      const auto expected = kind_ == AttentionKind::kS8 ? problem.WithScoresOf(127).Expected() : problem.Expected();
      // f32: scores up to ~60 rounded (2^-24 * 60 * a few) enter exp: relative 2e-5 of values of size 4.
      // Integers: scores have 16 bits for all that head_dim products of q and k of size up to 8 could be. They are rounded
      // down, times a key's scale, times the query's: off by half such a step in deviation, and so is a weight, relatively;
      // values have deviation 1. The largest of so many draws is seven deviations of all off.
      const double score_step = 8 * 8 * std::sqrt(static_cast<double>(shape.head_dim)) / 32768;
      const double tolerance = kind_ == AttentionKind::kF32 ? 1e-4 : 1.5 * score_step;
      double squares = 0;
      for (size_t i = 0; i < actual.size(); ++i) {
        ASSERT_NEAR(actual[i], expected[i], tolerance) << tokens << " at " << i;
        squares += (actual[i] - expected[i]) * (actual[i] - expected[i]);
      }
      // And on average far below.
      EXPECT_LT(std::sqrt(squares / static_cast<double>(actual.size())), tolerance / 7);
    }
  }
}

// Thousands of equal weights are below a 30,000th each; their sum must not be.
TEST_P(AttentionTest, ALongTextOfEqualScoresIsItsMean) {
  constexpr size_t kTokens = 4096;
  Problem problem({1, 32}, kTokens);
  std::fill(problem.k.begin(), problem.k.end(), 0.5f);
  const auto actual = problem.Run(kind_, kernels_, 0, 1);
  for (size_t c = 0; c < 32; ++c) {
    double mean = 0;
    for (size_t j = 0; j < kTokens; ++j) mean += problem.v[j * 32 + c] / double{kTokens};
    // Weights of integers are near kSoftmaxS16Sum / kTokens times 0.6, a value's scale beside the largest: rounded by 0.2 % of
    // that in deviation, and their sum by 1/64 of it; four deviations.
    EXPECT_NEAR(actual[c], mean, kind_ == AttentionKind::kF32 ? 1e-4 : 1.3e-4);
  }
}

// Never a matrix of all scores.
TEST_P(AttentionTest, MemoryGrowsWithTheLengthNotItsSquare) {
  for (const AttentionShape shape : {AttentionShape{2, 32}, {1, 64}, {3, 26}}) {
    for (const size_t tokens : {256, 1024, 4096}) {
      EXPECT_LE(AttentionInputs::AttendScratch(kind_, shape, 2 * tokens),
                2 * AttentionInputs::AttendScratch(kind_, shape, tokens));
      EXPECT_LE(AttentionInputs::Bytes(kind_, kernels_, shape, 2 * tokens),
                2 * AttentionInputs::Bytes(kind_, kernels_, shape, tokens));
    }
  }
}

TEST_P(AttentionTest, AQueryHasTheSameBitsHoweverQueriesAreCut) {
  const Problem problem({2, 32}, 70);
  const auto whole = problem.Run(kind_, kernels_, 0, 70);
  for (const size_t cut : {1, 5, 12, 13, 33, 69}) {
    auto first = problem.Run(kind_, kernels_, 0, cut);
    const auto second = problem.Run(kind_, kernels_, cut, 70);
    first.insert(first.end(), second.begin(), second.end());
    EXPECT_EQ(std::memcmp(first.data(), whole.data(), whole.size() * sizeof(float)), 0) << cut;
  }
}

TEST_P(AttentionTest, ATextHasTheSameBitsWhereverItLiesAndHoweverItWasWritten) {
  for (const size_t tokens : {1, 2, 33, 70}) {
    const Problem problem({2, 32}, tokens);
    const auto alone = problem.Run(kind_, kernels_, 0, tokens);
    for (const size_t text_begin : {0, 1, 2, 7}) {
      for (const size_t block_rows : {1, 2, 3, 8, 17, 64}) {
        const auto other = problem.Run(kind_, kernels_, 0, tokens, text_begin, block_rows);
        EXPECT_EQ(std::memcmp(alone.data(), other.data(), alone.size() * sizeof(float)), 0)
            << tokens << " tokens at " << text_begin << " in blocks of " << block_rows;
      }
    }
  }
}

TEST_P(AttentionTest, WhatIsNotFiniteIsSeen) {
  constexpr size_t kHidden = 64, kBadRow = 5;
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN(), kInfinity = std::numeric_limits<float>::infinity();
  struct Bad {
    std::vector<float> Problem::*member;
    float value;
  };
  // Not an infinite key: in f32 a query may say that it does not want it at all.
  for (const auto& [member, value] : {Bad{&Problem::q, kNan}, Bad{&Problem::q, kInfinity}, Bad{&Problem::k, kNan},
                                      Bad{&Problem::v, kNan}, Bad{&Problem::v, kInfinity}}) {
    Problem problem({2, 32}, 20);
    (problem.*member)[kBadRow * kHidden + 3] = value;  // head 0
    const auto out = problem.Run(kind_, kernels_, 0, 20);
    EXPECT_FALSE(std::isfinite(out[kBadRow * kHidden + 3]));
    EXPECT_TRUE(std::isfinite(out[kBadRow * kHidden + 40])) << "the other head";
  }
}

// Levels of vectors: scalar has its own exp and sums in order, f32 products of BF16 levels are those of AVX-512.
TEST(AttentionLevelsTest, BitsAreTheSameOnEveryVectorLevel) {
  for (const AttentionKind kind : kKinds) {
    for (const AttentionShape shape : {AttentionShape{2, 32}, {3, 64}, {1, 96}, {4, 16}, {3, 26}}) {
      for (const size_t tokens : {1, 7, 16, 31, 32, 33, 70, 300}) {
        const Problem problem(shape, tokens);
        std::vector<float> first;
        for (const Isa isa : SupportedIsas()) {
          if (isa == Isa::kScalar) continue;
          const auto bits = problem.Run(kind, KernelsFor(isa), 0, tokens);
          if (first.empty()) first = bits;
          EXPECT_EQ(std::memcmp(first.data(), bits.data(), bits.size() * sizeof(float)), 0)
              << tokens << " tokens, heads of " << shape.head_dim << " at " << IsaName(isa);
        }
      }
    }
  }
}

TEST_P(AttentionTest, PoolsMatchTheirDefinitions) {
  constexpr size_t kTokens = 9, kDim = 37;
  const auto x = RandomFloats(kTokens * kDim, 5);
  const MatrixView<const float> tokens(x.data(), kTokens, kDim);
  std::vector<float> mean(kDim), cls(kDim), max(kDim);
  PoolMean(kernels_, tokens, mean);
  PoolCls(tokens, cls);
  PoolMax(kernels_, tokens, max);
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
