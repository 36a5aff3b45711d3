#include "server/tracing/sampler.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace octet::tracing {
namespace {

constexpr TraceId kId = {1, 2};

std::optional<TraceContext> Parent(bool sampled) { return TraceContext{kId, 3, sampled}; }

TEST(SamplerTest, StandardNamesMeanWhatTheySay) {
  struct Case {
    const char* name;
    bool root, sampled_parent, other_parent;
  };
  for (const Case& c :
       {Case{"always_on", true, true, true}, Case{"always_off", false, false, false},
        Case{"parentbased_always_on", true, true, false}, Case{"parentbased_always_off", false, true, false}}) {
    const auto sampler = Sampler::FromName(c.name, 0.5);
    ASSERT_TRUE(sampler.has_value()) << c.name;
    EXPECT_EQ(sampler->ShouldSample(kId, std::nullopt), c.root) << c.name;
    EXPECT_EQ(sampler->ShouldSample(kId, Parent(true)), c.sampled_parent) << c.name;
    EXPECT_EQ(sampler->ShouldSample(kId, Parent(false)), c.other_parent) << c.name;
  }
  for (const char* name :
       {"", "on", "ALWAYS_ON", "parentbased_", "parentbased_parentbased_always_on", "jaeger_remote"}) {
    EXPECT_FALSE(Sampler::FromName(name, 1).has_value()) << name;
  }
}

TEST(SamplerTest, RatioIgnoresTheParentUnlessBasedOnIt) {
  const auto none = *Sampler::FromName("traceidratio", 0);
  EXPECT_FALSE(none.ShouldSample(kId, Parent(true)));
  const auto based = *Sampler::FromName("parentbased_traceidratio", 0);
  EXPECT_TRUE(based.ShouldSample(kId, Parent(true)));
  EXPECT_FALSE(based.ShouldSample(kId, Parent(false)));
}

TEST(SamplerTest, TheEndsOfTheScaleAreAllAndNone) {
  const auto all = *Sampler::FromName("traceidratio", 1), none = *Sampler::FromName("traceidratio", 0);
  for (const TraceId& id : {TraceId{1, 0}, TraceId{0, 1}, TraceId{~0ull, ~0ull}, TraceId{0, 0x00ffffffffffffff}}) {
    EXPECT_TRUE(all.ShouldSample(id, std::nullopt));
    EXPECT_FALSE(none.ShouldSample(id, std::nullopt));
  }
}

// The decision is by the rightmost 56 bits: R is in when R >= (1 - ratio) * 2^56.
TEST(SamplerTest, TheThresholdIsExact) {
  const auto quarter = *Sampler::FromName("traceidratio", 0.25);
  EXPECT_FALSE(quarter.ShouldSample({0, 0xffbfffffffffffff}, std::nullopt));
  EXPECT_TRUE(quarter.ShouldSample({0, 0x00c0000000000000}, std::nullopt));
}

TEST(SamplerTest, SharesAreAsConfiguredAndContainEachOther) {
  const std::vector<double> ratios = {0.001, 0.01, 0.1, 0.5, 0.9};
  constexpr int kIds = 200'000;
  std::vector<int> counts(ratios.size());
  for (int i = 0; i < kIds; ++i) {
    const TraceId id = NewTraceId();
    bool is_in_smaller = false;
    for (size_t r = 0; r < ratios.size(); ++r) {
      const auto sampler = *Sampler::FromName("traceidratio", ratios[r]);
      const bool is_in = sampler.ShouldSample(id, std::nullopt);
      EXPECT_EQ(is_in, sampler.ShouldSample(id, std::nullopt));
      EXPECT_TRUE(is_in || !is_in_smaller);
      is_in_smaller = is_in;
      counts[r] += is_in;
    }
  }
  for (size_t r = 0; r < ratios.size(); ++r) {
    // Binomial: beyond 6 standard deviations once in 500 million runs.
    const double sigma = std::sqrt(kIds * ratios[r] * (1 - ratios[r]));
    EXPECT_NEAR(counts[r], kIds * ratios[r], 6 * sigma) << ratios[r];
  }
}

}  // namespace
}  // namespace octet::tracing
