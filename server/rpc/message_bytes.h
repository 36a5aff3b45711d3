// Bytes of the wire to protobuf messages and back: what the codecs of all services share. Thread-safe functions,
// no state.
#ifndef OCTET_SERVER_RPC_MESSAGE_BYTES_H_
#define OCTET_SERVER_RPC_MESSAGE_BYTES_H_

#include <algorithm>
#include <cstdint>
#include <span>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "google/protobuf/arena.h"
#include "google/protobuf/io/coded_stream.h"
#include "google/protobuf/io/zero_copy_stream_impl_lite.h"
#include "google/protobuf/message_lite.h"
#include "grpcpp/support/byte_buffer.h"

namespace octet::rpc {

// InvalidArgument with the reason for a bad request.
absl::Status InvalidRequest(const std::string& message);

// `bytes` in one piece; the slice owns it.
absl::StatusOr<grpc::Slice> Flatten(const grpc::ByteBuffer& bytes);
absl::string_view View(const grpc::Slice& slice);

// Unicode characters of valid UTF-8.
uint32_t CountChars(absl::string_view text);

// A Base with the arena message that its texts are in.
template <typename Message, typename Base>
class ArenaParsed final : public Base {
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

// A buffer of exactly `size` bytes, filled by `write`.
template <typename Write>
grpc::ByteBuffer MakeBuffer(size_t size, const Write& write) {
  grpc::Slice slice(size);
  google::protobuf::io::ArrayOutputStream array(const_cast<uint8_t*>(slice.begin()), static_cast<int>(size));
  {
    google::protobuf::io::CodedOutputStream out(&array);
    write(&out);
  }
  return grpc::ByteBuffer(&slice, 1);
}

grpc::ByteBuffer Serialize(const google::protobuf::MessageLite& message);

}  // namespace octet::rpc

#endif  // OCTET_SERVER_RPC_MESSAGE_BYTES_H_
