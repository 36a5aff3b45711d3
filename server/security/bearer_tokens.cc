#include "server/security/bearer_tokens.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/check.h"
#include "base/status_macros.h"

namespace octet::security {
namespace {

constexpr absl::string_view kScheme = "bearer ";

// b64token = 1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"="
bool IsB64Token(absl::string_view text) {
  while (absl::EndsWith(text, "=")) text.remove_suffix(1);
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || absl::StrContains("-._~+/", c);
  });
}

}  // namespace

absl::StatusOr<BearerTokens> BearerTokens::Parse(absl::string_view setting, absl::string_view text) {
  BearerTokens tokens;
  size_t line_number = 0;
  for (const absl::string_view raw : absl::StrSplit(text, '\n')) {
    ++line_number;
    const absl::string_view line = absl::StripAsciiWhitespace(raw);
    if (line.empty() || line[0] == '#') continue;
    if (line.size() < kMinTokenBytes || line.size() > kMaxTokenBytes || !IsB64Token(line)) {
      return absl::InvalidArgumentError(absl::StrCat(
          setting, ": line ", line_number, ": a token of ", line.size(), " bytes, want ", kMinTokenBytes, " to ",
          kMaxTokenBytes, " letters, digits and -._~+/ with = at the end; openssl rand -hex 32 makes one"));
    }
    tokens.digests_.push_back(DigestOf(line));
  }
  if (tokens.digests_.empty() || tokens.digests_.size() > kMaxTokens) {
    return absl::InvalidArgumentError(
        absl::StrCat(setting, ": ", tokens.digests_.size(), " tokens, want 1 to ", kMaxTokens, ", one a line"));
  }
  return tokens;
}

BearerTokens::Digest BearerTokens::DigestOf(absl::string_view token) {
  Digest digest;
  unsigned int size = 0;
  OCTET_CHECK(EVP_Digest(token.data(), token.size(), digest.data(), &size, EVP_sha256(), nullptr) == 1 &&
              size == digest.size());
  return digest;
}

bool BearerTokens::Contains(absl::string_view token) const {
  const Digest digest = DigestOf(token);
  bool found = false;
  for (const Digest& known : digests_) found |= CRYPTO_memcmp(known.data(), digest.data(), digest.size()) == 0;
  return found;
}

absl::Status CheckAuthorization(const BearerTokens& tokens, const std::vector<absl::string_view>& authorization) {
  bool has_token = false;
  for (const absl::string_view value : authorization) {
    if (!absl::StartsWithIgnoreCase(value, kScheme)) continue;
    has_token = true;
    if (tokens.Contains(absl::StripAsciiWhitespace(value.substr(kScheme.size())))) return absl::OkStatus();
  }
  return absl::UnauthenticatedError(has_token
                                        ? "authorization: the token is not one of this server's"
                                        : "authorization: no token; send the metadata \"authorization: Bearer TOKEN\"");
}

absl::StatusOr<std::unique_ptr<TokenStore>> LoadTokens(const std::string& setting, const std::string& path) {
  return TokenStore::Load({{setting, path}}, [setting](const std::vector<std::string>& contents) {
    return BearerTokens::Parse(setting, contents[0]);
  });
}

}  // namespace octet::security
