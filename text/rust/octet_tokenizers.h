// The C ABI of the Rust crate in this folder, kept in step by hand with src/lib.rs. Only
// text/tokenizer.cc includes it. No function unwinds, prints or blocks; a tokenizer may be used by many
// threads at once. Pointers returned stay owned by Rust and go back through the matching free function.
#ifndef OCTET_TEXT_RUST_OCTET_TOKENIZERS_H_
#define OCTET_TEXT_RUST_OCTET_TOKENIZERS_H_

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
  OCTET_TOKENIZERS_OK = 0,
  OCTET_TOKENIZERS_INVALID = 1,   // the file or an argument is wrong
  OCTET_TOKENIZERS_INTERNAL = 2,  // the library failed or panicked
};

typedef struct OctetTokenizer OctetTokenizer;

// Receives a message as NUL-terminated UTF-8, cut to `capacity` bytes (at least 1).
typedef struct OctetError {
  char* message;
  size_t capacity;
} OctetError;

typedef struct OctetEncodeRequest {
  const char* first;  // UTF-8, not NUL-terminated; may be null when first_bytes is 0
  size_t first_bytes;
  const char* second;  // the second text of a pair; ignored unless is_pair
  size_t second_bytes;
  size_t max_tokens;  // special tokens included; 0 = no limit
  uint8_t is_pair;
  uint8_t truncate_left;
  uint8_t add_special_tokens;
  uint8_t with_offsets;
} OctetEncodeRequest;

// Views into `owner`, valid until octet_encoding_free(owner).
typedef struct OctetEncodingView {
  const uint32_t* ids;       // [num_tokens]
  const uint32_t* type_ids;  // [num_tokens]
  const uint32_t* offsets;   // [2 * num_tokens] begin and end in bytes, or null unless asked for
  size_t num_tokens;
  size_t num_tokens_before_truncation;
  void* owner;
} OctetEncodingView;

// Parses a tokenizer.json and encodes a few probes. On OK *tokenizer is set. With `match_special_tokens`
// 0, special tokens written out in a text are ordinary characters.
int32_t octet_tokenizer_new(const char* json, size_t json_bytes, uint8_t match_special_tokens,
                            OctetTokenizer** tokenizer, OctetError* error);
void octet_tokenizer_free(OctetTokenizer* tokenizer);

// On OK fills *view. The texts must be valid UTF-8 and each shorter than 4 GiB (INVALID otherwise).
// An INTERNAL message never holds any of the text.
int32_t octet_tokenizer_encode(const OctetTokenizer* tokenizer, const OctetEncodeRequest* request,
                               OctetEncodingView* view, OctetError* error);
void octet_encoding_free(void* owner);

// The id of a token, added tokens included, or -1.
int64_t octet_tokenizer_token_to_id(const OctetTokenizer* tokenizer, const char* token, size_t token_bytes);

#ifdef __cplusplus
}
#endif

#endif  // OCTET_TEXT_RUST_OCTET_TOKENIZERS_H_
