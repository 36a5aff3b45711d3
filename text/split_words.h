// Text that comes as words: how it is tokenized, and which token stands for each word. Words are joined by single spaces
// and found again by the tokens' offsets. Where the tokenizer splits at white space and treats each word by itself, as
// BERT's does, the ids are those that the reference gives for words (`transformers`: is_split_into_words=True); a
// tokenizer that marks the beginning of a text or word with a character of its own (ByteLevel, Metaspace) may give
// others. Pure functions, thread-safe.
#ifndef OCTET_TEXT_SPLIT_WORDS_H_
#define OCTET_TEXT_SPLIT_WORDS_H_

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "text/tokenizer.h"

namespace octet::text {

struct JoinedWords {
  std::string text;
  std::vector<TokenOffset> words;  // byte range of each in `text`
};

// Requires less than 4 GiB in all, spaces included: offsets are 32 bits wide.
JoinedWords JoinWords(std::span<const std::string> words);

// Of each word the index of its first token: one that begins in it, or in the space before it and goes on into it. Nothing
// for a word that has none, because it lies beyond a truncation or consists of characters that the tokenizer drops. Both
// in the order of the text; empty ranges among `tokens`, as special tokens have, are passed over.
std::vector<std::optional<size_t>> FirstTokensOfWords(std::span<const TokenOffset> tokens,
                                                      std::span<const TokenOffset> words);

}  // namespace octet::text

#endif  // OCTET_TEXT_SPLIT_WORDS_H_
