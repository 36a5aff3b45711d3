#include "text/tokenizer.h"

#include <cstring>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "text/rust/octet_tokenizers.h"
#include "text/tokenizer_file.h"
#include "text/utf8.h"
#include "text/vocabulary_check.h"

namespace octet::text {
namespace {

// Status messages are at most 256 bytes (a longer one can exceed a peer's metadata limit).
constexpr size_t kMaxMessageBytes = 192;

absl::Status ToStatus(int32_t code, absl::string_view context, const char* message) {
  const std::string text = context.empty() ? std::string(message) : absl::StrCat(context, ": ", message);
  return code == OCTET_TOKENIZERS_INVALID ? absl::InvalidArgumentError(text) : absl::InternalError(text);
}

absl::Status CheckText(absl::string_view text) {
  // Offsets are 32 bits wide.
  if (text.size() >= UINT32_MAX) {
    return absl::InvalidArgumentError(absl::StrCat(text.size(), " bytes, limit ", UINT32_MAX - 1));
  }
  if (const auto position = FindInvalidUtf8(text); position.has_value()) {
    return absl::InvalidArgumentError(absl::StrCat("not valid UTF-8 at byte ", *position));
  }
  return absl::OkStatus();
}

Encoding Copy(const OctetEncodingView& view) {
  Encoding encoding;
  // Ids are below 2^31 - 1: the file was checked for it.
  encoding.ids.assign(view.ids, view.ids + view.num_tokens);
  encoding.type_ids.assign(view.type_ids, view.type_ids + view.num_tokens);
  if (view.offsets != nullptr) {
    encoding.offsets.resize(view.num_tokens);
    for (size_t i = 0; i < view.num_tokens; ++i) {
      encoding.offsets[i] = {view.offsets[2 * i], view.offsets[2 * i + 1]};
    }
  }
  encoding.num_tokens_before_truncation = view.num_tokens_before_truncation;
  return encoding;
}

}  // namespace

struct Tokenizer::Handle {
  ~Handle() { octet_tokenizer_free(tokenizer); }

  absl::StatusOr<Encoding> Encode(absl::string_view first, const absl::string_view* second,
                                  const EncodeOptions& options) const {
    RETURN_IF_ERROR(CheckText(first));
    if (second != nullptr) RETURN_IF_ERROR(CheckText(*second));
    OctetEncodeRequest request = {};
    request.first = first.data();
    request.first_bytes = first.size();
    if (second != nullptr) {
      request.second = second->data();
      request.second_bytes = second->size();
      request.is_pair = 1;
    }
    request.max_tokens = options.max_tokens;
    request.truncate_left = options.side == TruncationSide::kLeft;
    request.add_special_tokens = options.add_special_tokens;
    request.with_offsets = options.with_offsets;

    char message[kMaxMessageBytes] = "";
    OctetError error = {message, sizeof(message)};
    OctetEncodingView view = {};
    const int32_t code = octet_tokenizer_encode(tokenizer, &request, &view, &error);
    if (code != OCTET_TOKENIZERS_OK) {
      return ToStatus(code, code == OCTET_TOKENIZERS_INTERNAL ? "tokenizer" : "", message);
    }
    // Copying may throw; the view goes back in any case.
    const std::unique_ptr<void, void (*)(void*)> owner(view.owner, octet_encoding_free);
    return Copy(view);
  }

  std::optional<int32_t> TokenToId(absl::string_view token) const {
    const int64_t id = octet_tokenizer_token_to_id(tokenizer, token.data(), token.size());
    if (id < 0 || id > INT32_MAX) return std::nullopt;
    return static_cast<int32_t>(id);
  }

  OctetTokenizer* tokenizer = nullptr;
  size_t vocab_size = 0;
};

Tokenizer::Tokenizer(std::unique_ptr<Handle> handle) : handle_(std::move(handle)) {}
Tokenizer::~Tokenizer() = default;

absl::StatusOr<std::unique_ptr<Tokenizer>> Tokenizer::FromJson(absl::string_view json,
                                                               const TokenizerOptions& options) {
  ASSIGN_OR_RETURN(const TokenizerFileFacts facts, CheckTokenizerFile(json));
  auto handle = std::make_unique<Handle>();
  char message[kMaxMessageBytes] = "";
  OctetError error = {message, sizeof(message)};
  const int32_t code =
      octet_tokenizer_new(json.data(), json.size(), options.match_special_tokens, &handle->tokenizer, &error);
  // A panic while loading is the file's doing, not ours.
  if (code != OCTET_TOKENIZERS_OK) {
    return ToStatus(OCTET_TOKENIZERS_INVALID, "tokenizer.json", message);
  }
  // The library numbers added tokens itself and only logs when the file says otherwise; a post-processor's
  // ids it takes as they are.
  for (const auto& expected : facts.expected_tokens) {
    const std::optional<int32_t> id = handle->TokenToId(expected.token);
    if (id == expected.id) continue;
    const std::string actual = id.has_value() ? absl::StrCat("has id ", *id) : "is not in the vocabulary";
    return absl::InvalidArgumentError(
        absl::StrCat(expected.entry, ": ", QuoteToken(expected.token), " ", actual, ", not ", expected.id));
  }
  handle->vocab_size = facts.vocab_size;
  return std::unique_ptr<Tokenizer>(new Tokenizer(std::move(handle)));
}

absl::StatusOr<Encoding> Tokenizer::Encode(absl::string_view text, const EncodeOptions& options) const {
  return handle_->Encode(text, nullptr, options);
}

absl::StatusOr<Encoding> Tokenizer::EncodePair(absl::string_view first, absl::string_view second,
                                               const EncodeOptions& options) const {
  return handle_->Encode(first, &second, options);
}

size_t Tokenizer::vocab_size() const { return handle_->vocab_size; }

std::optional<int32_t> Tokenizer::TokenToId(absl::string_view token) const { return handle_->TokenToId(token); }

}  // namespace octet::text
