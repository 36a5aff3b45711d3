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
};

struct WireLimits {
  size_t max_texts;
  size_t max_text_bytes;
};

// InvalidArgument, with a reason, for: more texts than allowed (all are counted first), a text that is too
// long, a listed field that is not UTF-8. Malformed bytes end the scan without an error.
absl::Status ScanMessage(absl::string_view bytes, std::span<const WireField> fields, const WireLimits& limits);

// Whether `bytes` are a sequence of whole fields with groups closed; says nothing about what is in them.
bool IsWellFormed(absl::string_view bytes);

// The bytes of the last occurrence of length-delimited field `number`; nothing if it is absent.
std::optional<absl::string_view> FindField(absl::string_view bytes, int number);
// Likewise of a varint field.
std::optional<uint64_t> FindVarint(absl::string_view bytes, int number);

}  // namespace octet::rpc

#endif  // OCTET_SERVER_RPC_WIRE_SCAN_H_
