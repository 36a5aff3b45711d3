// Token files and the authorization of calls: what is a token, which one is let in, and that none is ever repeated.
#include "server/security/bearer_tokens.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"

namespace octet::security {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kFirst[] = "0123456789abcdef";
constexpr char kSecond[] = "Second-token_of.this~file+/==";

BearerTokens Parsed(const std::string& text) {
  auto tokens = BearerTokens::Parse("auth.token_file", text);
  EXPECT_TRUE(tokens.ok()) << tokens.status();
  return tokens.ok() ? *std::move(tokens) : BearerTokens();
}

std::string ErrorOf(const std::string& text) {
  return std::string(BearerTokens::Parse("auth.token_file", text).status().message());
}

TEST(BearerTokensTest, EveryLineIsAToken) {
  const BearerTokens tokens = Parsed(absl::StrCat("# of team A\n", kFirst, "\r\n\n  ", kSecond, "  \n"));
  EXPECT_EQ(tokens.size(), 2u);
  EXPECT_TRUE(tokens.Contains(kFirst));
  EXPECT_TRUE(tokens.Contains(kSecond));
  EXPECT_FALSE(tokens.Contains(absl::StrCat(kFirst, "0")));
  EXPECT_FALSE(tokens.Contains(absl::string_view(kFirst, 15)));
  EXPECT_FALSE(tokens.Contains(""));
  EXPECT_FALSE(tokens.Contains("# of team A"));
}

TEST(BearerTokensTest, RefusesWithTheLineAndWithoutTheToken) {
  EXPECT_THAT(ErrorOf("\n# nothing\n"), HasSubstr("auth.token_file: 0 tokens, want 1 to 256"));
  EXPECT_THAT(ErrorOf(absl::StrCat(kFirst, "\nshortshort\n")),
              AllOf(HasSubstr("auth.token_file: line 2: a token of 10 bytes"), Not(HasSubstr("shortshort"))));
  EXPECT_THAT(ErrorOf("two words in one line"), AllOf(HasSubstr("line 1"), Not(HasSubstr("words"))));
  EXPECT_THAT(ErrorOf("===================="), HasSubstr("line 1"));
  EXPECT_THAT(ErrorOf("tokenwith=inthemiddle"), HasSubstr("line 1"));
  EXPECT_THAT(ErrorOf(std::string(BearerTokens::kMaxTokenBytes + 1, 'a')), HasSubstr("a token of 4097 bytes"));
  std::string many;
  for (int i = 0; i < 257; ++i) absl::StrAppend(&many, "token-number-", 10000 + i, "\n");
  EXPECT_THAT(ErrorOf(many), HasSubstr("257 tokens, want 1 to 256"));
}

TEST(BearerTokensTest, LetsInWhoHasOne) {
  const BearerTokens tokens = Parsed(absl::StrCat(kFirst, "\n", kSecond));
  EXPECT_TRUE(CheckAuthorization(tokens, {absl::StrCat("Bearer ", kFirst)}).ok());
  EXPECT_TRUE(CheckAuthorization(tokens, {absl::StrCat("bearer ", kSecond)}).ok());
  EXPECT_TRUE(CheckAuthorization(tokens, {"Basic dXNlcjpwYXNz", absl::StrCat("BEARER  ", kSecond)}).ok());
}

TEST(BearerTokensTest, SaysWhatIsMissing) {
  const BearerTokens tokens = Parsed(kFirst);
  for (const std::vector<absl::string_view>& none :
       std::vector<std::vector<absl::string_view>>{{}, {""}, {"Bearer"}, {kFirst}, {"Basic 0123456789abcdef"}}) {
    const absl::Status status = CheckAuthorization(tokens, none);
    EXPECT_EQ(status.code(), absl::StatusCode::kUnauthenticated);
    EXPECT_THAT(std::string(status.message()), HasSubstr("send the metadata \"authorization: Bearer TOKEN\""));
  }
  const absl::Status wrong = CheckAuthorization(tokens, {"Bearer not-one-of-them-at-all"});
  EXPECT_EQ(wrong.code(), absl::StatusCode::kUnauthenticated);
  EXPECT_THAT(std::string(wrong.message()), AllOf(HasSubstr("not one of this server's"), Not(HasSubstr("at-all"))));
}

}  // namespace
}  // namespace octet::security
