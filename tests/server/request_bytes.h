// What the tests of request_codec.h share: bytes of requests, and the options of a parsed one.
#ifndef OCTET_TESTS_SERVER_REQUEST_BYTES_H_
#define OCTET_TESTS_SERVER_REQUEST_BYTES_H_

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "octet/v1/text_encoder.pb.h"
#include "server/rpc/request_codec.h"
#include "server/rpc/tei_codec.h"
#include "tei/v1/tei.pb.h"
#include "tests/server/bytes.h"

namespace octet::rpc {

using Parsed = absl::StatusOr<std::unique_ptr<ParsedEmbed>>;
inline constexpr auto kLeft = text::TruncationSide::kLeft, kRight = text::TruncationSide::kRight;

// In slices of `slice_bytes` each, as a large message comes from the network.
inline grpc::ByteBuffer Buffer(const std::string& bytes, size_t slice_bytes = SIZE_MAX) {
  std::vector<grpc::Slice> slices;
  for (size_t at = 0; at < bytes.size(); at += std::min(slice_bytes, bytes.size() - at)) {
    slices.emplace_back(bytes.substr(at, slice_bytes));
  }
  return grpc::ByteBuffer(slices.data(), slices.size());
}

inline std::string Message(const absl::Status& status) { return {status.message().data(), status.message().size()}; }

inline v1::EmbedRequest Texts(const std::vector<std::string>& texts) {
  v1::EmbedRequest request;
  for (const std::string& text : texts) request.add_texts(text);
  return request;
}

inline ::tei::v1::EmbedRequest Inputs(const std::string& inputs) {
  ::tei::v1::EmbedRequest request;
  request.set_inputs(inputs);
  return request;
}

// A message of an EmbedStream around `request`, which need not be one.
inline std::string Stream(const std::string& request) {
  EXPECT_LT(request.size(), 0x80u);
  return std::string("\x12") + static_cast<char>(request.size()) + request;
}

// Everything that a request says beside its model and texts.
struct Options {
  bool truncate = false;
  text::TruncationSide side = kRight;
  std::optional<bool> normalize = {};
  std::optional<std::string> prompt_name = {};
  std::optional<uint32_t> dimensions = {};
  bool as_floats = false;
  bool operator==(const Options&) const = default;
};

inline Options OptionsOf(const ParsedRequest& parsed) {
  const serving::Request& request = parsed.request;
  const auto* const embed = dynamic_cast<const ParsedEmbed*>(&parsed);
  return {request.truncate,    request.truncation_side, request.normalize,
          request.prompt_name, request.dimensions,      embed != nullptr && embed->as_floats};
}

}  // namespace octet::rpc

#endif  // OCTET_TESTS_SERVER_REQUEST_BYTES_H_
