// Checks on the wire form of a request, before anything is built from it: 4 MiB of empty strings would be
// 117 MB of parsed message. Reads only the fields it is asked about; whether the rest is a valid message is
// the parser's business. Bounded stack; allocates messages and results, nothing as large as a request. Encoding:
// protobuf's documented wire format.
#ifndef OCTET_SERVER_RPC_WIRE_SCAN_H_
#define OCTET_SERVER_RPC_WIRE_SCAN_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace octet::rpc {

// A length-delimited field of a message.
struct WireField {
  int number;
  const char* name;          // for messages to the client
  bool is_text = false;      // a text to compute: counted, and limited in bytes
  bool is_repeated = false;  // messages say which one
  // Not empty: the field is a message of these, one level deep. It is counted as one text, and the limit of bytes is
  // that of each of its own texts.
  std::span<const WireField> fields = {};
};

// Fields of one message besides its texts, in groups and in the texts' own messages included. A parser keeps unknown ones, each at tens of
// times its bytes; no client sends nearly as many.
inline constexpr size_t kMaxOtherFields = 1000;
// Groups in groups; protobuf's own default, so that nothing is refused here that a parser would take.
inline constexpr size_t kMaxGroupDepth = 100;

struct WireLimits {
  size_t max_texts;
  size_t max_text_bytes;
};

// InvalidArgument, with a reason, for: more texts than allowed (all are counted first), a text that is too
// long, a listed field that is not UTF-8, more than kMaxOtherFields others, and for whatever is not well
// formed: what the scan cannot follow the parser must not see. `message_name` is for messages.
// More than one piece: what a parser merges into one message, each whole by itself; counted together.
absl::Status ScanMessage(std::span<const absl::string_view> pieces, absl::string_view message_name,
                         std::span<const WireField> fields, const WireLimits& limits);

// A length-delimited field: a message, a text to be counted as such, or a string, which must be UTF-8 (the parser would
// refuse it as well, but with a line on stderr that any client could write).
enum class NestedKind { kMessage, kCountedText, kString };
struct NestedField {
  int number;
  NestedKind kind = NestedKind::kMessage;
  std::span<const NestedField> fields = {};  // of kMessage
};

// Fields of a message and of the messages in it, as far down as `nested` says; those in groups and the groups
// themselves included.
struct FieldCounts {
  size_t texts = 0, others = 0;
};
// Nothing when one of the messages is not well formed, or a string in them.
std::optional<FieldCounts> CountFields(absl::string_view bytes, std::span<const NestedField> nested);

// Values in the payload of a packed field of varints.
size_t CountVarints(absl::string_view payload);

// Whether `bytes` are a sequence of whole fields with groups closed, at most kMaxOtherFields of them; says
// nothing about what is in them.
bool IsWellFormed(absl::string_view bytes);

// The bytes of every occurrence of length-delimited field `number`, in order: a parser merges those of a
// message. At most kMaxOtherFields of them if IsWellFormed(bytes). They point into `bytes`.
std::vector<absl::string_view> FindFields(absl::string_view bytes, int number);
// The last occurrence of varint field `number`; nothing if it is absent.
std::optional<uint64_t> FindVarint(absl::string_view bytes, int number);

}  // namespace octet::rpc

#endif  // OCTET_SERVER_RPC_WIRE_SCAN_H_
