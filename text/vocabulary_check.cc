#include "text/vocabulary_check.h"

#include <algorithm>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace octet::text {
namespace {

// Four times the largest vocabulary and merge list known (about 500,000).
constexpr size_t kMaxEntries = 2'000'000;

// Added tokens go into an automaton with some 20 bytes of state per byte of content; real ones have
// fewer than 100 bytes.
constexpr size_t kMaxAddedTokenBytes = 4096;

// Real vocabularies have few holes. A far-off id would claim embedding rows that no file has.
constexpr size_t kAllowedIdsPerEntry = 2;
constexpr size_t kAllowedExtraIds = 1024;

}  // namespace

std::string QuoteToken(absl::string_view token) {
  constexpr size_t kMaxShown = 40;
  const bool cut = token.size() > kMaxShown;
  return absl::StrCat("\"", absl::CHexEscape(token.substr(0, kMaxShown)), cut ? "..." : "", "\"");
}

absl::Status CheckTokenId(absl::string_view entry, int64_t id) {
  if (id < 0) return absl::InvalidArgumentError(absl::StrCat(entry, ": id ", id, " is negative"));
  if (id >= INT32_MAX) {
    return absl::InvalidArgumentError(absl::StrCat(entry, ": id ", id, ", limit ", INT32_MAX - 1));
  }
  return absl::OkStatus();
}

absl::Status VocabularyCheck::AddToken(absl::string_view token, int64_t id) {
  RETURN_IF_ERROR(CheckTokenId(absl::StrCat("model.vocab: ", QuoteToken(token)), id));
  if (++num_model_tokens_ > kMaxEntries) {
    return absl::InvalidArgumentError(absl::StrCat("model.vocab: too many entries, limit ", kMaxEntries));
  }
  tokens_[std::string(token)] = static_cast<int32_t>(id);
  longest_token_bytes_ = std::max(longest_token_bytes_, token.size());
  max_id_ = std::max(max_id_, static_cast<int32_t>(id));
  return absl::OkStatus();
}

absl::Status VocabularyCheck::AddMerge(size_t bytes, size_t second_bytes) {
  if (num_merges_ >= kMaxEntries) {
    return absl::InvalidArgumentError(absl::StrCat("model.merges: too many entries, limit ", kMaxEntries));
  }
  if (bytes > longest_merge_bytes_) {
    longest_merge_bytes_ = bytes;
    longest_merge_idx_ = num_merges_;
  }
  if (second_bytes < shortest_second_bytes_) {
    shortest_second_bytes_ = second_bytes;
    shortest_second_idx_ = num_merges_;
  }
  ++num_merges_;
  return absl::OkStatus();
}

absl::Status VocabularyCheck::AddAddedToken(absl::string_view content, int64_t id) {
  const std::string entry = absl::StrCat("added_tokens[", added_tokens_.size(), "]");
  if (content.empty()) return absl::InvalidArgumentError(absl::StrCat(entry, ": content is empty"));
  if (content.size() > kMaxAddedTokenBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat(entry, ": content of ", content.size(), " bytes, limit ", kMaxAddedTokenBytes));
  }
  RETURN_IF_ERROR(CheckTokenId(absl::StrCat(entry, ": ", QuoteToken(content)), id));
  if (added_tokens_.size() >= kMaxEntries) {
    return absl::InvalidArgumentError(absl::StrCat("added_tokens: too many, limit ", kMaxEntries));
  }
  const size_t idx = added_tokens_.size();
  const auto [same_content, new_content] = added_by_content_.emplace(std::string(content), idx);
  if (!new_content) {
    return absl::InvalidArgumentError(
        absl::StrCat(entry, ": ", QuoteToken(content), " repeats added_tokens[", same_content->second, "]"));
  }
  const auto [same_id, new_id] = added_by_id_.emplace(static_cast<int32_t>(id), idx);
  if (!new_id) {
    return absl::InvalidArgumentError(
        absl::StrCat(entry, ": id ", id, " is also the id of added_tokens[", same_id->second, "]"));
  }
  added_tokens_.push_back({std::string(content), static_cast<int32_t>(id)});
  max_id_ = std::max(max_id_, static_cast<int32_t>(id));
  return absl::OkStatus();
}

absl::Status VocabularyCheck::Finish(size_t merge_prefix_bytes) const {
  if (num_model_tokens_ == 0) return absl::InvalidArgumentError("model.vocab: empty");
  RETURN_IF_ERROR(CheckIds());
  return CheckMerges(merge_prefix_bytes);
}

absl::Status VocabularyCheck::CheckIds() const {
  std::vector<std::pair<int32_t, absl::string_view>> by_id;
  by_id.reserve(tokens_.size());
  for (const auto& [token, id] : tokens_) by_id.emplace_back(id, token);
  std::sort(by_id.begin(), by_id.end());
  for (size_t i = 1; i < by_id.size(); ++i) {
    if (by_id[i].first == by_id[i - 1].first) {
      return absl::InvalidArgumentError(absl::StrCat("model.vocab: id ", by_id[i].first,
                                                     " is repeated: ", QuoteToken(by_id[i - 1].second), " and ",
                                                     QuoteToken(by_id[i].second)));
    }
  }
  for (size_t i = 0; i < added_tokens_.size(); ++i) {
    const AddedToken& added = added_tokens_[i];
    if (const auto id = FindModelToken(added.content); id.has_value() && *id != added.id) {
      return absl::InvalidArgumentError(absl::StrCat("added_tokens[", i, "]: id ", added.id, " of ",
                                                     QuoteToken(added.content), ", but model.vocab has ", *id));
    }
    const auto clash = std::lower_bound(by_id.begin(), by_id.end(), std::make_pair(added.id, absl::string_view()));
    if (clash != by_id.end() && clash->first == added.id && clash->second != added.content) {
      return absl::InvalidArgumentError(absl::StrCat("added_tokens[", i, "]: id ", added.id, " of ",
                                                     QuoteToken(added.content), " is the id of ",
                                                     QuoteToken(clash->second), " in model.vocab"));
    }
  }
  const size_t num_entries = num_model_tokens_ + added_tokens_.size();
  const size_t limit = kAllowedIdsPerEntry * num_entries + kAllowedExtraIds;
  if (static_cast<size_t>(max_id_) >= limit) {
    return absl::InvalidArgumentError(absl::StrCat("model.vocab, added_tokens: largest id ", max_id_, " with ",
                                                   num_entries, " entries, limit ", limit - 1));
  }
  return absl::OkStatus();
}

absl::Status VocabularyCheck::CheckMerges(size_t merge_prefix_bytes) const {
  if (num_merges_ == 0) return absl::OkStatus();
  if (shortest_second_bytes_ < merge_prefix_bytes) {
    return absl::InvalidArgumentError(absl::StrCat("model.merges[", shortest_second_idx_,
                                                   "]: second token is shorter than continuing_subword_prefix"));
  }
  if (longest_merge_bytes_ > longest_token_bytes_ + merge_prefix_bytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("model.merges[", longest_merge_idx_, "]: ", longest_merge_bytes_ - merge_prefix_bytes,
                     " bytes, longer than any token of model.vocab (", longest_token_bytes_, ")"));
  }
  return absl::OkStatus();
}

std::optional<int32_t> VocabularyCheck::FindModelToken(absl::string_view token) const {
  const auto found = tokens_.find(token);
  if (found == tokens_.end()) return std::nullopt;
  return found->second;
}

}  // namespace octet::text
