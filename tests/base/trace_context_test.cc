#include "base/trace_context.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "absl/strings/str_cat.h"

namespace octet {
namespace {

constexpr char kValid[] = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

TEST(TraceparentTest, ReadsIdentifiersAndTheSampledFlag) {
  const auto context = ParseTraceparent(kValid);
  ASSERT_TRUE(context.has_value());
  EXPECT_EQ(context->trace_id, (TraceId{0x4bf92f3577b34da6, 0xa3ce929d0e0e4736}));
  EXPECT_EQ(context->span_id, 0x00f067aa0ba902b7u);
  EXPECT_TRUE(context->sampled);
  EXPECT_EQ(TraceIdHex(context->trace_id), "4bf92f3577b34da6a3ce929d0e0e4736");
  EXPECT_EQ(SpanIdHex(context->span_id), "00f067aa0ba902b7");
}

TEST(TraceparentTest, OnlyTheLowestFlagMeansSampled) {
  const std::string ids = std::string(kValid).substr(0, 53);
  for (const char* flags : {"01", "03", "ff"}) EXPECT_TRUE(ParseTraceparent(ids + flags)->sampled) << flags;
  for (const char* flags : {"00", "02", "fe"}) EXPECT_FALSE(ParseTraceparent(ids + flags)->sampled) << flags;
}

TEST(TraceparentTest, AcceptsLaterVersionsWithMoreBehindADash) {
  const std::string later = "cc" + std::string(kValid).substr(2);
  EXPECT_TRUE(ParseTraceparent(later).has_value());
  EXPECT_TRUE(ParseTraceparent(later + "-what-the-future-will-be-like").has_value());
  EXPECT_TRUE(ParseTraceparent(later + "-").has_value());
  EXPECT_FALSE(ParseTraceparent(later + ".what").has_value());
}

TEST(TraceparentTest, IgnoresWhatBreaksTheRules) {
  const std::string bad[] = {
      "",
      "00",
      std::string(kValid).substr(0, 54),
      absl::StrCat(kValid, "-01"),  // version 00 has no more
      absl::StrCat(kValid, " "),
      absl::StrCat(" ", kValid),
      "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
      "0-04bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
      "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
      "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
      "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
      "00-4bf92f3577b34da6a3ce929d0e0e473g-00f067aa0ba902b7-01",
      "00_4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
      "00-4bf92f3577b34da6a3ce929d0e0e4736_00f067aa0ba902b7-01",
      "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7_01",
      "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0x",
      "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-+1",
      "00-4bf92f3577b34da6a3ce929d0e0e47360-0f067aa0ba902b7-01",
      std::string(55, '\0'),
      std::string(100000, '0'),
  };
  for (const std::string& text : bad) EXPECT_FALSE(ParseTraceparent(text).has_value()) << text.substr(0, 80);
}

// Every byte counts: any other value at any place is refused or gives another context, and nothing crashes.
TEST(TraceparentTest, EveryChangedByteIsNoticed) {
  const auto original = ParseTraceparent(kValid);
  for (size_t place = 0; place < 53; ++place) {  // the flags have bits that mean nothing yet
    for (int byte = 0; byte < 256; ++byte) {
      std::string text = kValid;
      if (text[place] == static_cast<char>(byte)) continue;
      text[place] = static_cast<char>(byte);
      const auto context = ParseTraceparent(text);
      const bool is_version = place < 2;
      EXPECT_TRUE(is_version || !context || *context != *original) << text;
    }
  }
}

TEST(TracestateTest, AcceptsListsAndIgnoresWhatBreaksTheRules) {
  for (const char* good : {"a=1", "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE", "a=1 , b=2", "a=1,,b=2", "t@s=v",
                           "0a_-*/=!\"#$%&'()*+-./:;<>?@[]^_`{|}~", "a= x"}) {
    EXPECT_TRUE(IsTracestate(good)) << good;
  }
  for (const char* bad :
       {"", ",", "a", "=1", "a=", "A=1", "a b=1", "a=1,a=2", "a=b=c", "a=\x01", "a=\xc3\xa9", "-a=1", "a=1;b=2,c"}) {
    EXPECT_FALSE(IsTracestate(bad)) << bad;
  }
}

TEST(TracestateTest, IsBounded) {
  std::string members;
  for (int i = 0; i < 32; ++i) absl::StrAppend(&members, i == 0 ? "" : ",", "k", i, "=v");
  EXPECT_TRUE(IsTracestate(members));
  EXPECT_FALSE(IsTracestate(members + ",k=v"));
  EXPECT_TRUE(IsTracestate("a=" + std::string(256, 'x')));
  EXPECT_FALSE(IsTracestate("a=" + std::string(257, 'x')));
  EXPECT_FALSE(IsTracestate(std::string(257, 'a') + "=x"));
  EXPECT_FALSE(
      IsTracestate("a=" + std::string(250, 'x') + ",b=" + std::string(250, 'x') + ",c=" + std::string(20, 'x')));
}

TEST(TraceIdsTest, AreDistinct) {
  std::set<std::string> ids;
  for (int i = 0; i < 1000; ++i) {
    ids.insert(TraceIdHex(NewTraceId()));
    ids.insert(SpanIdHex(NewSpanId()));
  }
  EXPECT_EQ(ids.size(), 2000u);
}

}  // namespace
}  // namespace octet
