#include "server/rpc/message_bytes.h"

#include "serving/request.h"

namespace octet::rpc {

absl::Status InvalidRequest(const std::string& message) {
  return serving::WithReason(absl::InvalidArgumentError(message), serving::kReasonInvalid);
}

absl::StatusOr<grpc::Slice> Flatten(const grpc::ByteBuffer& bytes) {
  grpc::Slice slice;
  if (bytes.Length() != 0 && !bytes.DumpToSingleSlice(&slice).ok()) {
    return InvalidRequest("request: message cannot be read");
  }
  return slice;
}

absl::string_view View(const grpc::Slice& slice) {
  return {reinterpret_cast<const char*>(slice.begin()), slice.size()};
}

uint32_t CountChars(absl::string_view text) {
  // Bytes that do not continue a character.
  return static_cast<uint32_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

grpc::ByteBuffer Serialize(const google::protobuf::MessageLite& message) {
  return MakeBuffer(message.ByteSizeLong(),
                    [&](google::protobuf::io::CodedOutputStream* out) { message.SerializeWithCachedSizes(out); });
}

}  // namespace octet::rpc
