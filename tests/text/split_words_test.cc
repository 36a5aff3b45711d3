#include "text/split_words.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace octet::text {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<TokenOffset> RangesOf(const std::vector<std::string>& words) { return JoinWords(words).words; }

TEST(JoinWordsTest, PutsOneSpaceBetweenAndCountsBytes) {
  const std::vector<std::string> words = {"Caf\u00e9", "is", "open"};
  const JoinedWords joined = JoinWords(words);
  EXPECT_EQ(joined.text, "Caf\u00e9 is open");
  ASSERT_EQ(joined.words.size(), 3u);
  for (size_t i = 0; i < words.size(); ++i) {
    EXPECT_EQ(joined.text.substr(joined.words[i].begin, joined.words[i].end - joined.words[i].begin), words[i]);
  }
  EXPECT_EQ(JoinWords({}).text, "");
  EXPECT_THAT(JoinWords({}).words, IsEmpty());
}

// "the" of one token, "zebra" of two, between special tokens.
TEST(FirstTokensOfWordsTest, PassesOverSpecialAndContinuingTokens) {
  const std::vector<TokenOffset> tokens = {{0, 0}, {0, 3}, {4, 6}, {6, 9}, {0, 0}};
  EXPECT_THAT(FirstTokensOfWords(tokens, RangesOf({"the", "zebra"})), ElementsAre(1u, 2u));
}

TEST(FirstTokensOfWordsTest, WordsCutOffOrWithoutTokensHaveNone) {
  const std::vector<TokenOffset> tokens = {{0, 0}, {0, 3}, {6, 9}, {0, 0}};
  EXPECT_THAT(FirstTokensOfWords(tokens, RangesOf({"the", "?", "fox", "dog"})),
              ElementsAre(1u, std::nullopt, 2u, std::nullopt));
  EXPECT_THAT(FirstTokensOfWords({}, RangesOf({"the"})), ElementsAre(std::nullopt));
  EXPECT_THAT(FirstTokensOfWords(tokens, {}), IsEmpty());
}

// The tokenizer may drop a word's first character, and a token may go on into the next word.
TEST(FirstTokensOfWordsTest, ATokenBelongsToTheWordInWhichItBegins) {
  EXPECT_THAT(FirstTokensOfWords(std::vector<TokenOffset>{{1, 3}, {5, 8}}, RangesOf({"abc", "def", "g"})),
              ElementsAre(0u, 1u, std::nullopt));
  EXPECT_THAT(FirstTokensOfWords(std::vector<TokenOffset>{{0, 5}, {5, 7}}, RangesOf({"abc", "def"})),
              ElementsAre(0u, 1u));
  EXPECT_THAT(FirstTokensOfWords(std::vector<TokenOffset>{{0, 7}}, RangesOf({"abc", "def"})),
              ElementsAre(0u, std::nullopt));
  // As tokenizers do that put the space at the beginning of the word's token.
  EXPECT_THAT(FirstTokensOfWords(std::vector<TokenOffset>{{0, 3}, {3, 6}, {6, 7}}, RangesOf({"abc", "def"})),
              ElementsAre(0u, 1u));
}

}  // namespace
}  // namespace octet::text
