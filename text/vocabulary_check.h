// Collects the vocabulary, merges and added tokens of a tokenizer.json while it is being read, and
// refuses what the tokenizer library would crash on, allocate without bound for, or silently renumber.
// Knows nothing of JSON. Not thread-safe.
#ifndef OCTET_TEXT_VOCABULARY_CHECK_H_
#define OCTET_TEXT_VOCABULARY_CHECK_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace octet::text {

// `token` in quotes, escaped and cut, for messages.
std::string QuoteToken(absl::string_view token);

// OK when `id` can be a token id: 0 to 2^31 - 2, so that the vocabulary size is an int32 too. Otherwise
// InvalidArgument "<entry>: id <id>, ...".
absl::Status CheckTokenId(absl::string_view entry, int64_t id);

class VocabularyCheck {
 public:
  struct AddedToken {
    std::string content;
    int32_t id = 0;
  };

  // A model vocabulary's entry. InvalidArgument for a bad id or too many entries. A repeated token is
  // the caller's to refuse for maps; in a Unigram list it is legal and the last one counts.
  absl::Status AddToken(absl::string_view token, int64_t id);

  // A BPE merge of two tokens, `bytes` long together, `second_bytes` of them from the second.
  absl::Status AddMerge(size_t bytes, size_t second_bytes);

  // added_tokens[index]. InvalidArgument for empty or huge content, a bad id, and for a content or id
  // that an earlier added token has.
  absl::Status AddAddedToken(absl::string_view content, int64_t id);

  // Call once after everything is added. `merge_prefix_bytes` is the length of the prefix that a merge's
  // second token loses. InvalidArgument for ids that are repeated, far beyond the number of entries or
  // disagree between vocabulary and added tokens, and for merges longer than any token.
  absl::Status Finish(size_t merge_prefix_bytes) const;

  std::optional<int32_t> FindModelToken(absl::string_view token) const;
  size_t num_model_tokens() const { return num_model_tokens_; }
  const std::vector<AddedToken>& added_tokens() const { return added_tokens_; }
  // The largest id of all, or -1.
  int32_t max_id() const { return max_id_; }

 private:
  absl::Status CheckIds() const;
  absl::Status CheckMerges(size_t merge_prefix_bytes) const;

  absl::flat_hash_map<std::string, int32_t> tokens_;
  std::vector<AddedToken> added_tokens_;
  absl::flat_hash_map<std::string, size_t> added_by_content_;
  absl::flat_hash_map<int32_t, size_t> added_by_id_;
  size_t num_model_tokens_ = 0;
  size_t longest_token_bytes_ = 0;
  size_t num_merges_ = 0;
  size_t longest_merge_bytes_ = 0;
  size_t longest_merge_idx_ = 0;
  size_t shortest_second_bytes_ = SIZE_MAX;
  size_t shortest_second_idx_ = 0;
  int32_t max_id_ = -1;
};

}  // namespace octet::text

#endif  // OCTET_TEXT_VOCABULARY_CHECK_H_
