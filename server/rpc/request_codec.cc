#include "server/rpc/request_codec.h"

#include <algorithm>
#include <span>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "google/protobuf/arena.h"
#include "google/protobuf/io/zero_copy_stream_impl_lite.h"
#include "server/rpc/wire_scan.h"
#include "tei/v1/tei.pb.h"

namespace octet::rpc {
namespace {

constexpr WireField kEmbedFields[] = {
    {v1::EmbedRequest::kModelFieldNumber, "model"},
    {v1::EmbedRequest::kTextsFieldNumber, "texts", /*is_text=*/true, /*is_repeated=*/true},
    {v1::EmbedRequest::kPromptNameFieldNumber, "prompt_name"},
};
constexpr WireField kTeiEmbedFields[] = {
    {::tei::v1::EmbedRequest::kInputsFieldNumber, "inputs", /*is_text=*/true},
    {::tei::v1::EmbedRequest::kPromptNameFieldNumber, "prompt_name"},
};

// Per text beside its vector: tags, lengths, token count. Per answer: names, timing.
constexpr size_t kBytesPerText = 32, kBytesPerResponse = 512;

absl::Status Invalid(const std::string& message) {
  return serving::WithReason(absl::InvalidArgumentError(message), serving::kReasonInvalid);
}

// A request with the arena message that its texts are in.
template <typename Message>
class ArenaParsedEmbed final : public ParsedEmbed {
 public:
  // Merges `pieces` into one Message; false when one of them is not a Message.
  bool Parse(std::span<const absl::string_view> pieces) {
    message_ = google::protobuf::Arena::CreateMessage<Message>(&arena_);
    return std::all_of(pieces.begin(), pieces.end(), [this](absl::string_view piece) {
      const int size = static_cast<int>(piece.size());
      google::protobuf::io::ArrayInputStream stream(piece.data(), size);
      return message_->MergeFromBoundedZeroCopyStream(&stream, size);
    });
  }
  const Message& message() const { return *message_; }

 private:
  google::protobuf::Arena arena_;
  Message* message_ = nullptr;
};

absl::StatusOr<grpc::Slice> Flatten(const grpc::ByteBuffer& bytes) {
  grpc::Slice slice;
  if (bytes.Length() != 0 && !bytes.DumpToSingleSlice(&slice).ok()) {
    return Invalid("request: message cannot be read");
  }
  return slice;
}

absl::string_view View(const grpc::Slice& slice) {
  return {reinterpret_cast<const char*>(slice.begin()), slice.size()};
}

// What the answer will take at most, from the request alone.
absl::Status CheckResponseSize(size_t num_texts, std::optional<uint32_t> dimensions, const RequestLimits& limits) {
  const size_t values = std::min<size_t>(dimensions.value_or(UINT32_MAX), limits.max_dimensions);
  const size_t bytes = num_texts * (values * sizeof(float) + kBytesPerText) + kBytesPerResponse;
  if (bytes <= limits.max_response_bytes) return absl::OkStatus();
  return Invalid(absl::StrCat("response: ", bytes, " bytes, limit ", limits.max_response_bytes));
}

template <typename Message>
void SetOptions(const Message& message, serving::Request* request) {
  request->truncate = message.truncate();
  if (message.has_normalize()) request->normalize = message.normalize();
  if (message.has_prompt_name()) request->prompt_name = message.prompt_name();
  if (message.has_dimensions()) request->dimensions = message.dimensions();
}

absl::StatusOr<std::unique_ptr<ParsedEmbed>> ParseEmbedPieces(std::span<const absl::string_view> pieces,
                                                              const RequestLimits& limits) {
  RETURN_IF_ERROR(ScanMessage(pieces, "EmbedRequest", kEmbedFields,
                              {.max_texts = limits.max_texts, .max_text_bytes = limits.max_text_bytes}));
  auto parsed = std::make_unique<ArenaParsedEmbed<v1::EmbedRequest>>();
  if (!parsed->Parse(pieces)) return Invalid("request: not a valid EmbedRequest");
  const v1::EmbedRequest& message = parsed->message();
  if (!v1::TruncationSide_IsValid(message.truncation_side())) {
    return Invalid(absl::StrCat("truncation_side: unknown value ", static_cast<int>(message.truncation_side())));
  }
  if (message.texts().empty()) return Invalid("texts: empty");
  parsed->request.model = message.model();
  for (const std::string& text : message.texts()) parsed->request.texts.emplace_back(text);
  if (message.truncation_side() == v1::TRUNCATION_SIDE_LEFT) {
    parsed->request.truncation_side = text::TruncationSide::kLeft;
  }
  SetOptions(message, &parsed->request);
  parsed->as_floats = message.as_floats();
  RETURN_IF_ERROR(CheckResponseSize(parsed->request.texts.size(), parsed->request.dimensions, limits));
  return parsed;
}

// Code points: bytes that do not continue one.
uint32_t CountChars(absl::string_view text) {
  return static_cast<uint32_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

}  // namespace

absl::StatusOr<std::unique_ptr<ParsedEmbed>> ParseEmbed(const grpc::ByteBuffer& bytes, const RequestLimits& limits) {
  ASSIGN_OR_RETURN(const grpc::Slice slice, Flatten(bytes));
  const absl::string_view pieces[] = {View(slice)};
  return ParseEmbedPieces(pieces, limits);
}

absl::StatusOr<StreamMessage> ParseEmbedStream(const grpc::ByteBuffer& bytes, const RequestLimits& limits) {
  ASSIGN_OR_RETURN(const grpc::Slice slice, Flatten(bytes));
  const absl::string_view outer = View(slice);
  // Not parsed as a whole: a bad `request` must cost its sender an answer, not the stream.
  if (!IsWellFormed(outer)) return Invalid("request: not a valid EmbedStreamRequest");
  const uint64_t id = FindVarint(outer, v1::EmbedStreamRequest::kIdFieldNumber).value_or(0);
  // A parser merges a field that occurs more than once.
  const auto pieces = FindFields(outer, v1::EmbedStreamRequest::kRequestFieldNumber);
  StreamMessage message{.id = id, .parsed = ParseEmbedPieces(pieces, limits)};
  if (message.parsed.ok()) (*message.parsed)->id = id;
  return message;
}

absl::StatusOr<std::unique_ptr<ParsedEmbed>> ParseTeiEmbed(const grpc::ByteBuffer& bytes, const RequestLimits& limits) {
  ASSIGN_OR_RETURN(const grpc::Slice slice, Flatten(bytes));
  const absl::string_view pieces[] = {View(slice)};
  RETURN_IF_ERROR(
      ScanMessage(pieces, "EmbedRequest", kTeiEmbedFields, {.max_texts = 1, .max_text_bytes = limits.max_text_bytes}));
  auto parsed = std::make_unique<ArenaParsedEmbed<::tei::v1::EmbedRequest>>();
  if (!parsed->Parse(pieces)) return Invalid("request: not a valid EmbedRequest");
  const ::tei::v1::EmbedRequest& message = parsed->message();
  if (!::tei::v1::TruncationDirection_IsValid(message.truncation_direction())) {
    return Invalid(
        absl::StrCat("truncation_direction: unknown value ", static_cast<int>(message.truncation_direction())));
  }
  parsed->request.texts.emplace_back(message.inputs());
  if (message.truncation_direction() == ::tei::v1::TRUNCATION_DIRECTION_LEFT) {
    parsed->request.truncation_side = text::TruncationSide::kLeft;
  }
  SetOptions(message, &parsed->request);
  if (!message.has_normalize()) parsed->request.normalize = true;
  parsed->num_chars = CountChars(parsed->request.texts[0].text);
  RETURN_IF_ERROR(CheckResponseSize(/*num_texts=*/1, parsed->request.dimensions, limits));
  return parsed;
}

}  // namespace octet::rpc
