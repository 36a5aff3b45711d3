// Faults R7-R13 of the reliability table as far as they concern tokenizing, truncation, and sharing one
// tokenizer among threads. That ids are right is tokenizer_golden_test's business.
#include "text/tokenizer.h"

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/text/test_files.h"

namespace octet::text {
namespace {

using testing::ElementsAre;

constexpr int32_t kUnk = 100, kCls = 101, kSep = 102, kMask = 103;

class TokenizerTest : public testing::Test {
 protected:
  static void SetUpTestSuite() { tokenizer_ = LoadDefaultTokenizer().release(); }
  static void TearDownTestSuite() {
    delete tokenizer_;
    tokenizer_ = nullptr;
  }
  void SetUp() override { ASSERT_NE(tokenizer_, nullptr); }

  static Encoding Encode(absl::string_view text, const EncodeOptions& options = {}) {
    auto encoding = tokenizer_->Encode(text, options);
    EXPECT_TRUE(encoding.ok()) << encoding.status();
    return encoding.ok() ? *std::move(encoding) : Encoding();
  }

  static Tokenizer* tokenizer_;
};

Tokenizer* TokenizerTest::tokenizer_ = nullptr;

std::string Repeat(const std::string& unit, size_t count) {
  std::string s;
  for (size_t i = 0; i < count; ++i) s += unit;
  return s;
}

TEST_F(TokenizerTest, KnowsItsVocabulary) {
  EXPECT_EQ(tokenizer_->vocab_size(), 30522u);
  EXPECT_EQ(tokenizer_->TokenToId("[CLS]"), kCls);
  EXPECT_EQ(tokenizer_->TokenToId("hello"), 7592);
  EXPECT_EQ(tokenizer_->TokenToId("no such token"), std::nullopt);
  EXPECT_EQ(tokenizer_->TokenToId(""), std::nullopt);
  EXPECT_EQ(tokenizer_->TokenToId("\xff"), std::nullopt);
}

TEST_F(TokenizerTest, R7_EmptyTextsAreTheSpecialTokensAlone) {
  for (const std::string& text : {std::string(), std::string("    "), std::string("\t\n\r "), std::string("\0\0", 2),
                                  std::string("\x01\x02\x1f\x7f")}) {
    EXPECT_THAT(Encode(text).ids, ElementsAre(kCls, kSep));
    EXPECT_FALSE(Encode(text).truncated());
  }
  EXPECT_TRUE(Encode("", {.add_special_tokens = false}).ids.empty());
}

TEST_F(TokenizerTest, R8_LengthsAroundTheLimit) {
  for (const auto side : {TruncationSide::kRight, TruncationSide::kLeft}) {
    for (const size_t words : {509, 510, 511}) {
      const Encoding encoding = Encode(Repeat("hello ", words), {.max_tokens = 512, .side = side});
      EXPECT_EQ(encoding.ids.size(), std::min<size_t>(words + 2, 512));
      EXPECT_EQ(encoding.num_tokens_before_truncation, words + 2);
      EXPECT_EQ(encoding.truncated(), words == 511);
      EXPECT_EQ(encoding.ids.front(), kCls);
      EXPECT_EQ(encoding.ids.back(), kSep);
    }
  }
}

TEST_F(TokenizerTest, TruncationKeepsTheChosenSide) {
  EXPECT_EQ(Encode("one two three", {.max_tokens = 4}).ids, Encode("one two").ids);
  EXPECT_EQ(Encode("one two three", {.max_tokens = 4, .side = TruncationSide::kLeft}).ids, Encode("two three").ids);
  EXPECT_THAT(Encode("one two three", {.max_tokens = 2}).ids, ElementsAre(kCls, kSep));
}

TEST_F(TokenizerTest, RefusesLimitBelowTheSpecialTokens) {
  const auto single = tokenizer_->Encode("hello", {.max_tokens = 1});
  EXPECT_EQ(single.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(absl::StrContains(single.status().message(), "special tokens alone are 2"));
  EXPECT_FALSE(tokenizer_->EncodePair("a", "b", {.max_tokens = 2}).ok());
  EXPECT_TRUE(tokenizer_->EncodePair("a", "b", {.max_tokens = 3}).ok());
}

TEST_F(TokenizerTest, R9_OneMebibyteOfOneLetterIsOneUnknownToken) {
  EXPECT_THAT(Encode(std::string(1 << 20, 'a')).ids, ElementsAre(kCls, kUnk, kSep));
}

// Marks are stripped, so that one letter is left; the double text gives the same.
TEST_F(TokenizerTest, R10_OneMebibyteOfCombiningMarks) {
  const std::vector<int32_t> letter = Encode("a").ids;
  EXPECT_EQ(Encode("a" + Repeat("\xcc\x81", 1 << 19)).ids, letter);
  EXPECT_EQ(Encode("a" + Repeat("\xcc\x81", 1 << 20)).ids, letter);
}

// U+FDFA is 3 bytes and 33 when decomposed: the word passes 100 characters and is one unknown token.
TEST_F(TokenizerTest, R11_ExpandingCodePointsStayBounded) {
  const Encoding encoding = Encode(Repeat("\xef\xb7\xba", (1 << 20) / 3), {.max_tokens = 256});
  EXPECT_LE(encoding.ids.size(), 256u);
  EXPECT_LE(encoding.num_tokens_before_truncation, size_t{1} << 20);
}

TEST_F(TokenizerTest, R12_RefusesInvalidUtf8WithItsPosition) {
  const struct {
    const char* name;
    std::string text;
    size_t position;
  } cases[] = {
      {"lone surrogate", "ab\xed\xa0\x80", 2},
      {"overlong", "\xc0\x80", 0},
      {"overlong of three", "a\xe0\x80\x80", 1},
      {"above U+10FFFF", "abc\xf4\x90\x80\x80", 3},
      {"bare continuation", "\x80", 0},
      {"cut short", "hello \xf0\x9f\x99", 6},
      {"ff fe", "\xff\xfe", 0},
  };
  for (const auto& c : cases) {
    const std::string expected = "not valid UTF-8 at byte " + std::to_string(c.position);
    for (const auto& status :
         {tokenizer_->Encode(c.text, {}).status(), tokenizer_->EncodePair("ok", c.text, {}).status(),
          tokenizer_->EncodePair(c.text, "ok", {}).status()}) {
      EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << c.name;
      EXPECT_EQ(status.message(), expected) << c.name;
    }
  }
}

TEST_F(TokenizerTest, R13_LiteralSpecialTokensAreThoseTokensByDefault) {
  EXPECT_THAT(Encode("[CLS][MASK] [SEP]").ids, ElementsAre(kCls, kCls, kMask, kSep, kSep));
}

TEST_F(TokenizerTest, R13_LiteralSpecialTokensAreTextWhenSwitchedOff) {
  const auto plain = LoadDefaultTokenizer({.match_special_tokens = false});
  ASSERT_NE(plain, nullptr);
  const auto encoding = plain->Encode("[CLS][MASK] [SEP]", {});
  ASSERT_TRUE(encoding.ok());
  EXPECT_EQ(encoding->ids.front(), kCls);
  EXPECT_EQ(encoding->ids.back(), kSep);
  for (size_t i = 1; i + 1 < encoding->ids.size(); ++i) {
    EXPECT_GT(encoding->ids[i], kMask) << i;
  }
}

TEST_F(TokenizerTest, PairTruncationTakesFromTheLongerText) {
  const auto ids = [](absl::string_view a, absl::string_view b, size_t limit) {
    const auto encoding = tokenizer_->EncodePair(a, b, {.max_tokens = limit});
    EXPECT_TRUE(encoding.ok());
    return encoding.ok() ? encoding->ids : std::vector<int32_t>();
  };
  EXPECT_EQ(ids("one", "one two three four", 6), ids("one", "one two", 0));
  EXPECT_EQ(ids("one two three four", "one", 6), ids("one two", "one", 0));
  EXPECT_EQ(ids("one two three", "one two three", 7), ids("one two", "one two", 0));
}

// A wrong cache or shared scratch would show as another text's ids.
TEST_F(TokenizerTest, ManyThreadsShareOneTokenizer) {
  std::vector<std::string> texts;
  std::vector<std::vector<int32_t>> expected;
  for (int i = 0; i < 64; ++i) {
    texts.push_back("thread text number " + std::to_string(i * 7919) + Repeat(" unaffable", i % 9));
    expected.push_back(Encode(texts.back()).ids);
  }
  std::atomic<int> num_wrong = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&, t] {
      for (size_t i = 0; i < 2000; ++i) {
        const size_t idx = (i * 31 + t * 17) % texts.size();
        const auto encoding = tokenizer_->Encode(texts[idx], {});
        if (!encoding.ok() || encoding->ids != expected[idx]) ++num_wrong;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(num_wrong, 0);
}

}  // namespace
}  // namespace octet::text
