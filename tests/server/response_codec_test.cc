// Answers as protobuf reads them back, value by value; and that the size that requests are checked against
// (R17) is never less than the answer's.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cfloat>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <numeric>
#include <string>
#include <vector>

#include "octet/v1/text_encoder.pb.h"
#include "server/rpc/request_codec.h"
#include "server/rpc/tei_codec.h"
#include "tei/v1/tei.pb.h"
#include "tests/server/bytes.h"

namespace octet::rpc {
namespace {

using ::testing::IsEmpty;

template <typename Message>
Message Decode(const grpc::ByteBuffer& buffer) {
  Message message;
  EXPECT_TRUE(buffer.Valid());  // else ToString is empty
  EXPECT_TRUE(message.ParseFromString(ToString(buffer)));
  // Unknown fields would be kept, and sent again.
  EXPECT_EQ(message.GetReflection()->GetUnknownFields(message).field_count(), 0);
  return message;
}

// Bit by bit, so that -0 is not 0.
std::string BytesOf(const float* values, size_t num_values) {
  return {reinterpret_cast<const char*>(values), num_values * sizeof(float)};
}

serving::Response MakeResponse(size_t num_texts, uint32_t dimensions) {
  serving::Response response;
  response.model = "mini";
  response.model_version = "0a1b";
  response.fingerprint = "0123456789abcdef";
  response.dimensions = dimensions;
  const float extremes[] = {-0.0f, 0.0f, FLT_MAX, -FLT_MIN, FLT_TRUE_MIN, 0.1f};
  for (size_t i = 0; i < num_texts * dimensions; ++i) {
    response.outputs.push_back(i < std::size(extremes) ? extremes[i] : 1.0f / static_cast<float>(i));
  }
  for (size_t i = 0; i < num_texts; ++i) {
    response.num_tokens.push_back(static_cast<uint32_t>(3 + 100 * i));
    response.truncated.push_back(i % 3 == 1);
  }
  response.tokenize_time = absl::Nanoseconds(1);
  response.queue_time = absl::Hours(100'000);
  response.compute_time = absl::Milliseconds(7);
  return response;
}

void ExpectEqual(const v1::EmbedResponse& message, const serving::Response& response, bool as_floats) {
  EXPECT_EQ(message.model(), response.model);
  EXPECT_EQ(message.model_version(), response.model_version);
  EXPECT_EQ(message.fingerprint(), response.fingerprint);
  EXPECT_EQ(message.dimensions(), response.dimensions);
  EXPECT_EQ(message.num_tokens(), std::accumulate(response.num_tokens.begin(), response.num_tokens.end(), 0u));
  EXPECT_EQ(message.timing().tokenize_ns(), 1u);
  EXPECT_EQ(message.timing().queue_ns(), 360'000'000'000'000'000u);
  EXPECT_EQ(message.timing().compute_ns(), 7'000'000u);
  ASSERT_EQ(message.embeddings_size(), static_cast<int>(response.num_tokens.size()));
  for (int i = 0; i < message.embeddings_size(); ++i) {
    const v1::Embedding& embedding = message.embeddings(i);
    const std::string vector = BytesOf(&response.outputs[i * response.dimensions], response.dimensions);
    EXPECT_EQ(embedding.values(), as_floats ? "" : vector) << i;
    EXPECT_EQ(BytesOf(embedding.floats().data(), embedding.floats_size()), as_floats ? vector : "") << i;
    EXPECT_EQ(embedding.num_tokens(), response.num_tokens[i]) << i;
    EXPECT_EQ(embedding.truncated(), response.truncated[i]) << i;
  }
}

// 31 and 32 values are 124 and 128 bytes: lengths of one byte and of two.
TEST(ResponseCodecTest, EmbedResponseReadsBackAsItWas) {
  for (const size_t num_texts : {1, 2, 5, 128}) {
    for (const uint32_t dimensions : {1, 31, 32, 768}) {
      for (const bool as_floats : {false, true}) {
        SCOPED_TRACE(testing::Message() << num_texts << " x " << dimensions << (as_floats ? " floats" : " values"));
        const serving::Response response = MakeResponse(num_texts, dimensions);
        ExpectEqual(Decode<v1::EmbedResponse>(EncodeEmbedResponse(response, as_floats)), response, as_floats);
        for (const uint64_t id : {uint64_t{0}, uint64_t{127}, uint64_t{128}, UINT64_MAX}) {
          const auto message = Decode<v1::EmbedStreamResponse>(EncodeStreamResponse(id, response, as_floats));
          EXPECT_EQ(message.id(), id);
          ASSERT_TRUE(message.has_response());
          ExpectEqual(message.response(), response, as_floats);
        }
      }
    }
  }
}

TEST(ResponseCodecTest, StreamErrorKeepsIdAndEveryField) {
  v1::StreamError error;
  error.set_code(8);
  error.set_message("queue: full");
  error.set_reason("QUEUE_FULL");
  error.set_retry_after_ms(UINT64_MAX);
  for (const uint64_t id : {uint64_t{0}, uint64_t{300}, UINT64_MAX}) {
    const auto message = Decode<v1::EmbedStreamResponse>(EncodeStreamError(id, error));
    EXPECT_EQ(message.id(), id);
    ASSERT_TRUE(message.has_error());
    EXPECT_EQ(message.error().SerializeAsString(), error.SerializeAsString());
  }
  // An error without anything to say is one all the same.
  EXPECT_TRUE(Decode<v1::EmbedStreamResponse>(EncodeStreamError(1, {})).has_error());
}

TEST(ResponseCodecTest, TeiResponseReadsBackAsItWas) {
  for (const uint32_t dimensions : {1, 31, 32, 4096}) {
    const serving::Response response = MakeResponse(/*num_texts=*/1, dimensions);
    ParsedTei request;
    request.num_chars = UINT32_MAX;
    const auto message = Decode<::tei::v1::EmbedResponse>(EncodeTeiEmbedResponse(response, request, absl::Seconds(2)));
    EXPECT_EQ(BytesOf(message.embeddings().data(), message.embeddings_size()),
              BytesOf(response.outputs.data(), dimensions));
    EXPECT_EQ(message.metadata().compute_chars(), UINT32_MAX);
    EXPECT_EQ(message.metadata().compute_tokens(), 3u);
    EXPECT_EQ(message.metadata().total_time_ns(), 2'000'000'000u);
    EXPECT_EQ(message.metadata().tokenization_time_ns(), 1u);
    EXPECT_EQ(message.metadata().queue_time_ns(), 360'000'000'000'000'000u);
    EXPECT_EQ(message.metadata().inference_time_ns(), 7'000'000u);
  }
}

// The largest answer of its shape: every number at the end of its range, flags set, names of the most bytes that
// a file's name (a model's folder) and a SHA-256 in hexadecimal (a version) have.
serving::Response LargestResponse(size_t num_texts, uint32_t dimensions) {
  serving::Response response = MakeResponse(num_texts, dimensions);
  response.model = std::string(255, 'm');
  response.model_version = std::string(64, 'v');
  // Of five bytes each; their sum wraps, and loses at most the four bytes that a single text's keeps.
  std::fill(response.num_tokens.begin(), response.num_tokens.end(), UINT32_MAX);
  response.truncated.assign(num_texts, true);
  response.tokenize_time = response.queue_time = response.compute_time = absl::InfiniteDuration();
  return response;
}

grpc::ByteBuffer ToBuffer(const google::protobuf::MessageLite& message) {
  const grpc::Slice slice(message.SerializeAsString());
  return grpc::ByteBuffer(&slice, 1);
}

// What an answer to `request` is taken to need at most: refused below, accepted from there on.
template <typename Parse, typename Request>
size_t Bound(const Parse& parse, const Request& request, RequestLimits limits) {
  limits.max_response_bytes = 1;
  const absl::Status status = parse(ToBuffer(request), limits).status();
  unsigned long long bytes = 0;
  EXPECT_EQ(std::sscanf(std::string(status.message()).c_str(), "response: %llu bytes, limit 1", &bytes), 1) << status;
  limits.max_response_bytes = bytes - 1;
  EXPECT_FALSE(parse(ToBuffer(request), limits).ok());
  limits.max_response_bytes = bytes;
  EXPECT_TRUE(parse(ToBuffer(request), limits).ok());
  return bytes;
}

TEST(ResponseCodecTest, NoAnswerIsLargerThanItsRequestWasCheckedFor) {
  for (const int num_texts : {1, 2, 3, 127, 128}) {
    v1::EmbedRequest request;
    for (int i = 0; i < num_texts; ++i) request.add_texts("a");
    for (const uint32_t dimensions : {1, 31, 32, 384, 4096, 65536}) {
      SCOPED_TRACE(testing::Message() << num_texts << " x " << dimensions);
      const size_t bound = Bound(ParseEmbed, request, {.max_dimensions = dimensions});
      const serving::Response response = LargestResponse(num_texts, dimensions);
      for (const bool as_floats : {false, true}) {
        EXPECT_LE(EncodeEmbedResponse(response, as_floats).Length(), bound);
        EXPECT_LE(EncodeStreamResponse(UINT64_MAX, response, as_floats).Length(), bound);
      }
    }
  }
}

TEST(ResponseCodecTest, NoTeiAnswerIsLargerThanItsRequestWasCheckedFor) {
  ::tei::v1::EmbedRequest request;
  request.set_inputs("a");
  for (const uint32_t dimensions : {1, 31, 32, 384, 4096}) {
    const size_t bound = Bound(ParseTeiEmbed, request, {.max_dimensions = dimensions});
    ParsedTei parsed;
    parsed.num_chars = UINT32_MAX;
    const grpc::ByteBuffer answer =
        EncodeTeiEmbedResponse(LargestResponse(/*num_texts=*/1, dimensions), parsed, absl::InfiniteDuration());
    EXPECT_LE(answer.Length(), bound) << dimensions;
  }
}

TEST(ResponseCodecTest, DimensionsOfTheRequestCountButNotAboveTheModels) {
  v1::EmbedRequest request;
  request.add_texts("a");
  const RequestLimits limits = {.max_dimensions = 768};
  const size_t all = Bound(ParseEmbed, request, limits);
  request.set_dimensions(64);
  EXPECT_EQ(Bound(ParseEmbed, request, limits), all - (768 - 64) * sizeof(float));
  for (const uint32_t dimensions : {768u, 769u, UINT32_MAX}) {
    request.set_dimensions(dimensions);
    EXPECT_EQ(Bound(ParseEmbed, request, limits), all) << dimensions;
  }
}

}  // namespace
}  // namespace octet::rpc
