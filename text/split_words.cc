#include "text/split_words.h"

#include <cstdint>

namespace octet::text {

JoinedWords JoinWords(std::span<const std::string> words) {
  JoinedWords joined;
  joined.words.reserve(words.size());
  for (const std::string& word : words) {
    if (!joined.words.empty()) joined.text.push_back(' ');
    const auto begin = static_cast<uint32_t>(joined.text.size());
    joined.text += word;
    joined.words.push_back({.begin = begin, .end = static_cast<uint32_t>(joined.text.size())});
  }
  return joined;
}

std::vector<std::optional<size_t>> FirstTokensOfWords(std::span<const TokenOffset> tokens,
                                                      std::span<const TokenOffset> words) {
  std::vector<std::optional<size_t>> first(words.size());
  size_t token_idx = 0;
  for (size_t word_idx = 0; word_idx < words.size(); ++word_idx) {
    const TokenOffset& word = words[word_idx];
    const auto is_before = [&](const TokenOffset& token) {
      return token.begin == token.end || token.end <= word.begin || token.begin + 1 < word.begin;
    };
    while (token_idx < tokens.size() && is_before(tokens[token_idx])) ++token_idx;
    if (token_idx == tokens.size()) break;
    if (tokens[token_idx].begin < word.end) first[word_idx] = token_idx;
  }
  return first;
}

}  // namespace octet::text
