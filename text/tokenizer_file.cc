#include "text/tokenizer_file.h"

#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "nlohmann/json.hpp"
#include "text/tokenizer_file_reader.h"
#include "text/vocabulary_check.h"

namespace octet::text {
namespace {

using Json = nlohmann::json;

// Longest pattern or replacement. Real patterns have a few hundred bytes; compiling costs some thousand
// times their length.
constexpr size_t kMaxStringBytes = 16 * 1024;

absl::Status Invalid(absl::string_view entry, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat(entry, ": ", what));
}

// The member `key` of `object`, or null when it is absent, null, or `object` is not an object.
const Json* Find(const Json& object, const char* key) {
  if (!object.is_object()) return nullptr;
  const auto found = object.find(key);
  return found == object.end() || found->is_null() ? nullptr : &*found;
}

std::optional<std::string> FindString(const Json& object, const char* key) {
  const Json* value = Find(object, key);
  if (value == nullptr || !value->is_string()) return std::nullopt;
  return value->get<std::string>();
}

absl::StatusOr<int64_t> TokenId(absl::string_view entry, const Json& value) {
  if (!value.is_number_integer()) return Invalid(entry, "id is not an integer");
  // Beyond int64 is beyond the limit as well.
  const bool huge = value.is_number_unsigned() && value.get<uint64_t>() > uint64_t{INT64_MAX};
  const int64_t id = huge ? INT64_MAX : value.get<int64_t>();
  RETURN_IF_ERROR(CheckTokenId(entry, id));
  return id;
}

absl::Status ReadAddedTokens(const Json& tree, VocabularyCheck& vocabulary) {
  const Json* list = Find(tree, "added_tokens");
  if (list == nullptr) return absl::OkStatus();
  if (!list->is_array()) return Invalid("added_tokens", "not a list");
  for (size_t i = 0; i < list->size(); ++i) {
    const std::string entry = absl::StrCat("added_tokens[", i, "]");
    const Json* id = Find((*list)[i], "id");
    const std::optional<std::string> content = FindString((*list)[i], "content");
    if (id == nullptr || !content.has_value()) return Invalid(entry, "no id or no content");
    ASSIGN_OR_RETURN(const int64_t token_id, TokenId(entry, *id));
    RETURN_IF_ERROR(vocabulary.AddAddedToken(*content, token_id));
  }
  return absl::OkStatus();
}

// The unknown token must exist, or the first unknown word of a text fails.
absl::Status CheckUnknownToken(const Json& model, const VocabularyCheck& vocabulary) {
  const std::string type = FindString(model, "type").value_or("");
  if (const auto unk = FindString(model, "unk_token"); unk.has_value()) {
    if (vocabulary.FindModelToken(*unk).has_value()) return absl::OkStatus();
    return Invalid("model.unk_token", absl::StrCat(QuoteToken(*unk), " is not in model.vocab"));
  }
  if (type == "WordPiece" || type == "WordLevel") return Invalid("model.unk_token", "missing");
  const Json* unk_id = Find(model, "unk_id");
  if (unk_id != nullptr) {
    ASSIGN_OR_RETURN(const int64_t id, TokenId("model.unk_id", *unk_id));
    if (static_cast<size_t>(id) < vocabulary.num_model_tokens()) return absl::OkStatus();
    return Invalid("model.unk_id", absl::StrCat(id, " is not in model.vocab"));
  }
  // Byte fallback and byte-level BPE have a token for every byte.
  const Json* byte_fallback = Find(model, "byte_fallback");
  const bool falls_back = byte_fallback != nullptr && *byte_fallback == true;
  if (type == "Unigram" && !falls_back) return Invalid("model.unk_id", "missing");
  return absl::OkStatus();
}

using ExpectedTokens = std::vector<TokenizerFileFacts::ExpectedToken>;

absl::Status Expect(const std::string& entry, const Json& token, const Json& id, ExpectedTokens& expected) {
  if (!token.is_string()) return Invalid(entry, "token is not a string");
  ASSIGN_OR_RETURN(const int64_t token_id, TokenId(entry, id));
  expected.push_back({entry, token.get<std::string>(), static_cast<int32_t>(token_id)});
  return absl::OkStatus();
}

// Tokens that one post-processor (not a sequence of them) puts around a text. Shapes that are not as
// expected are left to the library, which refuses them.
absl::Status CollectProcessorTokens(const std::string& entry, const Json& processor, ExpectedTokens& expected) {
  for (const char* role : {"cls", "sep"}) {  // BertProcessing, RobertaProcessing
    const Json* pair = Find(processor, role);
    if (pair == nullptr || !pair->is_array() || pair->size() != 2) continue;
    RETURN_IF_ERROR(Expect(absl::StrCat(entry, ".", role), (*pair)[0], (*pair)[1], expected));
  }
  const Json* special_tokens = Find(processor, "special_tokens");  // TemplateProcessing
  if (special_tokens == nullptr || !special_tokens->is_object()) return absl::OkStatus();
  for (const auto& [name, token] : special_tokens->items()) {
    const std::string place = absl::StrCat(entry, ".special_tokens.", QuoteToken(name));
    const Json* ids = Find(token, "ids");
    const Json* tokens = Find(token, "tokens");
    if (ids == nullptr || tokens == nullptr || !ids->is_array() || !tokens->is_array() ||
        ids->size() != tokens->size()) {
      return Invalid(place, "ids and tokens are not lists of equal length");
    }
    for (size_t i = 0; i < ids->size(); ++i) {
      RETURN_IF_ERROR(Expect(place, (*tokens)[i], (*ids)[i], expected));
    }
  }
  return absl::OkStatus();
}

absl::Status CollectPostProcessorTokens(const Json& tree, ExpectedTokens& expected) {
  const Json* processor = Find(tree, "post_processor");
  if (processor == nullptr) return absl::OkStatus();
  RETURN_IF_ERROR(CollectProcessorTokens("post_processor", *processor, expected));
  const Json* sequence = Find(*processor, "processors");
  if (sequence == nullptr || !sequence->is_array()) return absl::OkStatus();
  for (size_t i = 0; i < sequence->size(); ++i) {
    RETURN_IF_ERROR(
        CollectProcessorTokens(absl::StrCat("post_processor.processors[", i, "]"), (*sequence)[i], expected));
  }
  return absl::OkStatus();
}

// Recursion is bounded by the reader's depth limit.
absl::Status CheckStrings(const std::string& entry, const Json& value) {
  if (value.is_string()) {
    const size_t size = value.get_ref<const std::string&>().size();
    if (size <= kMaxStringBytes) return absl::OkStatus();
    return Invalid(entry, absl::StrCat("string of ", size, " bytes, limit ", kMaxStringBytes));
  }
  if (value.is_array()) {
    for (const Json& element : value) RETURN_IF_ERROR(CheckStrings(entry, element));
  }
  if (!value.is_object()) return absl::OkStatus();
  for (const auto& [key, member] : value.items()) {
    if (key == "precompiled_charsmap") continue;  // a compiled table, some 300 kB
    RETURN_IF_ERROR(CheckStrings(entry, member));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<TokenizerFileFacts> CheckTokenizerFile(absl::string_view json) {
  if (json.size() > kMaxTokenizerFileBytes) {
    return Invalid("tokenizer.json", absl::StrCat(json.size(), " bytes, limit ", kMaxTokenizerFileBytes));
  }
  TokenizerFileReader reader;
  RETURN_IF_ERROR(reader.Read(json));
  const Json& tree = reader.tree();
  VocabularyCheck& vocabulary = reader.vocabulary();
  const Json* model = Find(tree, "model");
  if (model == nullptr || !model->is_object()) return Invalid("model", "missing");

  RETURN_IF_ERROR(ReadAddedTokens(tree, vocabulary));
  const std::string prefix = FindString(*model, "continuing_subword_prefix").value_or("");
  RETURN_IF_ERROR(vocabulary.Finish(prefix.size()));
  RETURN_IF_ERROR(CheckUnknownToken(*model, vocabulary));
  for (const char* part : {"normalizer", "pre_tokenizer", "post_processor", "model"}) {
    if (const Json* value = Find(tree, part)) RETURN_IF_ERROR(CheckStrings(part, *value));
  }

  TokenizerFileFacts facts;
  const auto& added_tokens = vocabulary.added_tokens();
  for (size_t i = 0; i < added_tokens.size(); ++i) {
    facts.expected_tokens.push_back(
        {absl::StrCat("added_tokens[", i, "]"), added_tokens[i].content, added_tokens[i].id});
  }
  RETURN_IF_ERROR(CollectPostProcessorTokens(tree, facts.expected_tokens));
  facts.vocab_size = static_cast<size_t>(vocabulary.max_id()) + 1;
  return facts;
}

}  // namespace octet::text
