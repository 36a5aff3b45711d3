// Pieces of protobuf's documented wire format, for codecs that write large fields straight into the answer's bytes.
// Thread-safe functions.
#ifndef OCTET_SERVER_RPC_WIRE_WRITE_H_
#define OCTET_SERVER_RPC_WIRE_WRITE_H_

#include <cstddef>
#include <cstdint>

#include "google/protobuf/io/coded_stream.h"

namespace octet::rpc {

inline constexpr int kWireVarint = 0, kWireLengthDelimited = 2;

inline uint32_t WireTag(int field_number, int wire_type) {
  return static_cast<uint32_t>(field_number) << 3 | static_cast<uint32_t>(wire_type);
}

// Bytes of a length-delimited field with `size` bytes in it.
inline size_t BytesFieldSize(int field_number, size_t size) {
  using google::protobuf::io::CodedOutputStream;
  return CodedOutputStream::VarintSize32(WireTag(field_number, kWireLengthDelimited)) +
         CodedOutputStream::VarintSize32(static_cast<uint32_t>(size)) + size;
}

// Its beginning; the caller writes the `size` bytes.
inline void BeginBytesField(int field_number, size_t size, google::protobuf::io::CodedOutputStream* out) {
  out->WriteTag(WireTag(field_number, kWireLengthDelimited));
  out->WriteVarint32(static_cast<uint32_t>(size));
}

}  // namespace octet::rpc

#endif  // OCTET_SERVER_RPC_WIRE_WRITE_H_
