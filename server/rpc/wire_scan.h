// Checks on the wire form of a request, before anything is built from it: 4 MiB of empty strings would be
// 117 MB of parsed message. Reads only the fields it is asked about; whether the rest is a valid message is
// the parser's business. Bounded stack, no allocation. Encoding: protobuf's documented wire format.
#ifndef OCTET_SERVER_RPC_WIRE_SCAN_H_
#define OCTET_SERVER_RPC_WIRE_SCAN_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace octet::rpc {

// A length-delimited field of a message.
struct WireField {
  int number;
  const char* name;       // for messages to the client
  bool is_text = false;   // a text to embed: counted, and limited in bytes
  bool is_repeated = false;  // messages say which one
};

// Fields of one message besides its texts, in groups included. A parser keeps unknown ones, each at tens of
// times its bytes; no client sends nearly as many.
inline constexpr size_t kMaxOtherFields = 1000;

struct WireLimits {
  size_t max_texts;
  size_t max_text_bytes;
};

// InvalidArgument, with a reason, for: more texts than allowed (all are counted first), a text that is too
// long, a listed field that is not UTF-8, more than kMaxOtherFields others, and for whatever is not well
// formed: what the scan cannot follow the parser must not see. `message_name` is for messages.
absl::Status ScanMessage(absl::string_view bytes, absl::string_view message_name,
                         std::span<const WireField> fields, const WireLimits& limits);

// Whether `bytes` are a sequence of whole fields with groups closed, at most kMaxOtherFields of them; says
// nothing about what is in them.
bool IsWellFormed(absl::string_view bytes);

// The bytes of the last occurrence of length-delimited field `number`; nothing if it is absent.
std::optional<absl::string_view> FindField(absl::string_view bytes, int number);
// Likewise of a varint field.
std::optional<uint64_t> FindVarint(absl::string_view bytes, int number);

}  // namespace octet::rpc

#endif  // OCTET_SERVER_RPC_WIRE_SCAN_H_
