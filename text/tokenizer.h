// Text to token ids, exactly as the reference `tokenizers` library does it: a thin face on that Rust
// crate behind a C ABI (text/rust). Padding and truncation settings inside tokenizer.json are ignored;
// truncation is done here, on whole encodings. Thread-safe: one Tokenizer is shared, Encode never blocks.
#ifndef OCTET_TEXT_TOKENIZER_H_
#define OCTET_TEXT_TOKENIZER_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace octet::text {

enum class TruncationSide {
  kRight,  // drops tokens at the end of the text, keeps the beginning
  kLeft,   // drops tokens at the beginning
};

// Byte range [begin, end) of a token in the UTF-8 text that it came from; {0, 0} for special tokens.
struct TokenOffset {
  uint32_t begin = 0;
  uint32_t end = 0;
};

struct TokenizerOptions {
  // Whether special tokens written out in a text ("[CLS]") become those tokens, as in Hugging Face, or
  // are ordinary characters.
  bool match_special_tokens = true;
};

struct EncodeOptions {
  // Longest result, special tokens included. Longer encodings are cut on `side` (for a pair: from the
  // longer text first, by whole lengths), always keeping the special tokens. 0 = no limit.
  size_t max_tokens = 0;
  TruncationSide side = TruncationSide::kRight;
  bool add_special_tokens = true;
  bool with_offsets = false;
};

struct Encoding {
  std::vector<int32_t> ids;
  std::vector<int32_t> type_ids;            // same length as ids
  std::vector<TokenOffset> offsets;         // same length as ids, or empty unless asked for
  size_t num_tokens_before_truncation = 0;  // special tokens included

  bool truncated() const { return ids.size() < num_tokens_before_truncation; }
};

class Tokenizer {
 public:
  // `json`: the bytes of a tokenizer.json (operator-trusted for meaning, not for memory safety).
  // Ends with one warm-up encode, since some bad files fail only there.
  // Dropout in the file is ignored: the same text always gives the same ids.
  // InvalidArgument naming the entry for files that are malformed, above 64 MiB, nested too deep, with
  // negative, repeated or out-of-range ids (reliability table F20-F23).
  static absl::StatusOr<std::unique_ptr<Tokenizer>> FromJson(absl::string_view json,
                                                             const TokenizerOptions& options = {});

  ~Tokenizer();
  Tokenizer(const Tokenizer&) = delete;
  Tokenizer& operator=(const Tokenizer&) = delete;

  // `text` must be valid UTF-8 (InvalidArgument with the byte position otherwise) and below 4 GiB; time
  // and memory grow with it whatever max_tokens is, so callers limit its bytes. InvalidArgument when
  // max_tokens is below the number of special tokens. Internal when the library fails on the text; no
  // message holds any of the text. A fancy pattern of the file that passes the library's limit of
  // 1,000,000 backtracking steps on a text stops matching there: the rest stays one piece.
  absl::StatusOr<Encoding> Encode(absl::string_view text, const EncodeOptions& options) const;
  absl::StatusOr<Encoding> EncodePair(absl::string_view first, absl::string_view second,
                                      const EncodeOptions& options) const;

  // One more than the largest id the tokenizer can produce, added tokens included.
  size_t vocab_size() const;

  // Id of a token in the vocabulary, if it has it.
  std::optional<int32_t> TokenToId(absl::string_view token) const;

 private:
  struct Handle;  // the Rust object
  explicit Tokenizer(std::unique_ptr<Handle> handle);
  std::unique_ptr<Handle> handle_;
};

}  // namespace octet::text

#endif  // OCTET_TEXT_TOKENIZER_H_
