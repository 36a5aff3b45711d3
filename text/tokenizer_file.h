// Checks a tokenizer.json before the tokenizer library sees it: size, nesting, repeated keys, ids,
// added tokens, merges and the tokens that others refer to. The library itself aborts on some of these
// files, allocates without bound for others and silently renumbers tokens for a third kind
// (reliability table F20-F23). What a file means (its regexes, its normalizers) is not checked here.
#ifndef OCTET_TEXT_TOKENIZER_FILE_H_
#define OCTET_TEXT_TOKENIZER_FILE_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace octet::text {

inline constexpr size_t kMaxTokenizerFileBytes = size_t{64} << 20;

// What the loaded tokenizer must agree with.
struct TokenizerFileFacts {
  struct ExpectedToken {
    std::string entry;  // where the file says so, for messages
    std::string token;
    int32_t id = 0;
  };
  std::vector<ExpectedToken> expected_tokens;
  size_t vocab_size = 0;  // largest id + 1
};

// InvalidArgument with one line that names the entry at fault. Time and memory are linear in `json`.
absl::StatusOr<TokenizerFileFacts> CheckTokenizerFile(absl::string_view json);

}  // namespace octet::text

#endif  // OCTET_TEXT_TOKENIZER_FILE_H_
