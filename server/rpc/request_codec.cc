#include "server/rpc/request_codec.h"

#include <algorithm>
#include <span>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "server/rpc/message_bytes.h"
#include "server/rpc/message_parts.h"
#include "server/rpc/wire_scan.h"

namespace octet::rpc {
namespace {

constexpr WireField kEmbedFields[] = {
    {v1::EmbedRequest::kModelFieldNumber, "model"},
    {v1::EmbedRequest::kTextsFieldNumber, "texts", /*is_text=*/true, /*is_repeated=*/true},
    {v1::EmbedRequest::kPromptNameFieldNumber, "prompt_name"},
};

absl::StatusOr<std::unique_ptr<ParsedEmbed>> ParseEmbedPieces(std::span<const absl::string_view> pieces,
                                                              const RequestLimits& limits) {
  RETURN_IF_ERROR(ScanMessage(pieces, "EmbedRequest", kEmbedFields,
                              {.max_texts = limits.max_texts, .max_text_bytes = limits.max_text_bytes}));
  auto parsed = std::make_unique<ArenaParsed<v1::EmbedRequest, ParsedEmbed>>();
  if (!parsed->Parse(pieces)) return InvalidRequest("request: not a valid EmbedRequest");
  const v1::EmbedRequest& message = parsed->message();
  if (!v1::TruncationSide_IsValid(message.truncation_side())) {
    return InvalidRequest(absl::StrCat("truncation_side: unknown value ", static_cast<int>(message.truncation_side())));
  }
  if (message.texts().empty()) return InvalidRequest("texts: empty");
  parsed->request.model = message.model();
  for (const std::string& text : message.texts()) parsed->request.texts.emplace_back(text);
  if (message.truncation_side() == v1::TRUNCATION_SIDE_LEFT) {
    parsed->request.truncation_side = text::TruncationSide::kLeft;
  }
  parsed->request.truncate = message.truncate();
  if (message.has_normalize()) parsed->request.normalize = message.normalize();
  if (message.has_prompt_name()) parsed->request.prompt_name = message.prompt_name();
  if (message.has_dimensions()) parsed->request.dimensions = message.dimensions();
  parsed->as_floats = message.as_floats();
  RETURN_IF_ERROR(CheckEmbedResponseSize(parsed->request, limits));
  return parsed;
}

}  // namespace

absl::StatusOr<std::unique_ptr<ParsedEmbed>> ParseEmbed(const grpc::ByteBuffer& bytes, const RequestLimits& limits) {
  ASSIGN_OR_RETURN(const grpc::Slice slice, Flatten(bytes));
  const absl::string_view pieces[] = {View(slice)};
  return ParseEmbedPieces(pieces, limits);
}

absl::StatusOr<StreamMessage<ParsedEmbed>> ParseEmbedStream(const grpc::ByteBuffer& bytes,
                                                            const RequestLimits& limits) {
  ASSIGN_OR_RETURN(const grpc::Slice slice, Flatten(bytes));
  ASSIGN_OR_RETURN(const StreamParts parts, SplitStreamMessage(View(slice), "EmbedStreamRequest"));
  StreamMessage<ParsedEmbed> message{.id = parts.id, .parsed = ParseEmbedPieces(parts.request, limits)};
  if (message.parsed.ok()) (*message.parsed)->id = parts.id;
  return message;
}

absl::Status CheckEmbedResponseSize(const serving::Request& request, const RequestLimits& limits) {
  const size_t values = std::min<size_t>(request.dimensions.value_or(UINT32_MAX), limits.max_dimensions);
  return CheckResponseBytes(request.texts.size() * (values * sizeof(float) + kBytesPerText) + kBytesPerResponse,
                            limits);
}

}  // namespace octet::rpc
