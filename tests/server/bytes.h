// Strings of bytes in tests, and as gRPC carries them.
#ifndef OCTET_TESTS_SERVER_BYTES_H_
#define OCTET_TESTS_SERVER_BYTES_H_

#include <string>
#include <vector>

#include "grpcpp/support/byte_buffer.h"

namespace octet::rpc {

inline std::string Repeat(const std::string& unit, size_t times) {
  std::string out;
  out.reserve(unit.size() * times);
  for (size_t i = 0; i < times; ++i) out += unit;
  return out;
}

inline grpc::ByteBuffer ToBuffer(const std::string& bytes) {
  const grpc::Slice slice(bytes);
  return grpc::ByteBuffer(&slice, 1);
}

inline std::string ToString(const grpc::ByteBuffer& buffer) {
  std::vector<grpc::Slice> slices;
  std::string bytes;
  if (!buffer.Dump(&slices).ok()) return bytes;
  for (const grpc::Slice& slice : slices) bytes.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  return bytes;
}

}  // namespace octet::rpc

#endif  // OCTET_TESTS_SERVER_BYTES_H_
