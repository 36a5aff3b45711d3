// The tokens of a file, any one of which lets a call in, and comparing a call's own with them. Only digests are kept, and
// no message or log line ever holds a token. Thread-safe once made.
#ifndef OCTET_SERVER_SECURITY_BEARER_TOKENS_H_
#define OCTET_SERVER_SECURITY_BEARER_TOKENS_H_

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/security/verified_files.h"

namespace octet::security {

class BearerTokens {
 public:
  static constexpr size_t kMinTokenBytes = 16;  // shorter ones can be guessed
  static constexpr size_t kMaxTokenBytes = 4096;
  static constexpr size_t kMaxTokens = 256;

  // One token a line, of the characters that RFC 6750 (section 2.1, b64token) has; empty lines and lines that begin
  // with # are left out. InvalidArgument "SETTING: line N: ..." when there are none or too many, or for a token that is
  // too short, too long or has other characters.
  static absl::StatusOr<BearerTokens> Parse(absl::string_view setting, absl::string_view text);

  // In a time that depends on the length of `token` and the number of tokens, not on what they are.
  bool Contains(absl::string_view token) const;
  size_t size() const { return digests_.size(); }

 private:
  using Digest = std::array<uint8_t, 32>;  // SHA-256
  static Digest DigestOf(absl::string_view token);

  std::vector<Digest> digests_;
};

// `authorization`: the values of a call's metadata of that name (RFC 6750, section 2.1: "Bearer TOKEN"). Unauthenticated
// for none, another scheme, or no token of `tokens`.
absl::Status CheckAuthorization(const BearerTokens& tokens, const std::vector<absl::string_view>& authorization);

using TokenStore = VerifiedFiles<BearerTokens>;

// `setting`: the one that names the file. Errors of Parse and of reading.
absl::StatusOr<std::unique_ptr<TokenStore>> LoadTokens(const std::string& setting, const std::string& path);

}  // namespace octet::security

#endif  // OCTET_SERVER_SECURITY_BEARER_TOKENS_H_
