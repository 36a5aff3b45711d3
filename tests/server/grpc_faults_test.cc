// Rows R1-R25 of the fault table that a gRPC client can send, each with its answer. Not here: R7-R13, R23
// (they need a real tokenizer and model), R18 (the API takes no token ids), R20 and R22 (a gRPC client cannot
// send them); tests/e2e has those that apply.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <vector>

#include "octet/v1/text_encoder.grpc.pb.h"
#include "octet/v1/text_encoder.pb.h"
#include "tei/v1/tei.pb.h"
#include "tests/server/server_harness.h"

namespace octet::rpc {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kEmbed[] = "octet.v1.TextEncoder/Embed";
constexpr char kTeiEmbed[] = "tei.v1.Embed/Embed";

// Length-delimited field `number` (below 16).
std::string Field(int number, const std::string& bytes) {
  std::string out(1, static_cast<char>(number << 3 | 2));
  size_t size = bytes.size();
  for (; size >= 0x80; size >>= 7) out.push_back(static_cast<char>(size | 0x80));
  out.push_back(static_cast<char>(size));
  return out + bytes;
}

struct Row {
  std::string id;
  std::string method;
  std::string request;
  grpc::StatusCode code;
  std::string message;  // the whole
};

std::string Texts(std::vector<std::string> texts, void (*change)(v1::EmbedRequest*) = nullptr) {
  v1::EmbedRequest request;
  for (std::string& text : texts) request.add_texts(std::move(text));
  if (change != nullptr) change(&request);
  return request.SerializeAsString();
}

std::vector<Row> Rows() {
  constexpr auto kInvalid = grpc::StatusCode::INVALID_ARGUMENT;
  const std::string not_valid = "request: not a valid EmbedRequest";
  return {
      {"R1", kEmbed, "\xff\xff\xff\xff", kInvalid, not_valid},
      {"R1-truncated-field", kEmbed,
       "\x12\x7f"
       "abc",
       kInvalid, not_valid},
      {"R1-tei", kTeiEmbed, "\xff\xff\xff\xff", kInvalid, not_valid},
      {"R2", kEmbed, Field(2, "\xff\xfe"), kInvalid, "texts[0]: not valid UTF-8 at byte 0"},
      {"R2-second", kEmbed, Field(2, "good") + Field(2, "abc\xff"), kInvalid, "texts[1]: not valid UTF-8 at byte 3"},
      {"R2-tei", kTeiEmbed, Field(1, "ab\xff"), kInvalid, "inputs: not valid UTF-8 at byte 2"},
      {"R3", kEmbed, Repeat("\x7b", 100'000) + Repeat("\x7c", 100'000), kInvalid, not_valid},
      {"R3-unclosed", kEmbed, Repeat("\x7b", 100'000), kInvalid, not_valid},
      {"R4", kEmbed, "", kInvalid, "texts: empty"},
      {"R5", kEmbed, Repeat(Field(2, ""), 1'000'000), kInvalid, "texts: 1000000 items, limit 128"},
      {"R6-most", kEmbed, Repeat(Field(2, "a"), 128), grpc::StatusCode::OK, ""},
      {"R6", kEmbed, Repeat(Field(2, "a"), 129), kInvalid, "texts: 129 items, limit 128"},
      {"R14", kEmbed, Texts({"ok", std::string(65537, 'x')}), kInvalid, "texts[1]: 65537 bytes, limit 65536"},
      {"R14-tei", kTeiEmbed, Field(1, std::string(65537, 'x')), kInvalid, "inputs: 65537 bytes, limit 65536"},
      {"R16-enum", kEmbed, Texts({"a"}) + "\x20\x07", kInvalid, "truncation_side: unknown value 7"},
      {"R16-tei-enum", kTeiEmbed, Field(1, "a") + "\x20\x09", kInvalid, "truncation_direction: unknown value 9"},
      {"R16-dimensions-0", kEmbed, Texts({"a"}, [](v1::EmbedRequest* r) { r->set_dimensions(0); }), kInvalid,
       "dimensions: 0, allowed 1 to 4"},
      {"R16-dimensions-5", kEmbed, Texts({"a"}, [](v1::EmbedRequest* r) { r->set_dimensions(5); }), kInvalid,
       "dimensions: 5, allowed 1 to 4"},
      {"R24", kEmbed, Texts({"a", "b", std::string(513, 'x'), "c"}), kInvalid,
       "texts[2]: more than 512 tokens, limit 512"},
      {"unknown-method", "octet.v1.TextEncoder/Nothing", "", grpc::StatusCode::UNIMPLEMENTED, ""},
  };
}

class GrpcFaultsTest : public ServerHarness {};

TEST_F(GrpcFaultsTest, EveryRowHasItsAnswerAndTheServerGoesOn) {
  Start();
  double num_surfaced = 0;
  for (const Row& row : Rows()) {
    SCOPED_TRACE(row.id);
    const RawAnswer answer = CallRaw(row.method, row.request);
    EXPECT_EQ(answer.status.error_code(), row.code);
    EXPECT_EQ(answer.status.error_message(), row.message);
    num_surfaced += row.code != grpc::StatusCode::UNIMPLEMENTED;
    EXPECT_EQ(metrics_->TotalRecorded(), num_surfaced);
    EXPECT_TRUE(CallRaw(kEmbed, Texts({"neighbor"})).status.ok());
    ++num_surfaced;
  }
}

TEST_F(GrpcFaultsTest, R15ModelNamesAreNeitherFoundNorEchoedNorLabels) {
  Start();
  for (const std::string& name :
       {std::string(10'000, 'm'), std::string("../mini"), std::string("mini\0x", 6), std::string("mini\n"),
        std::string("%2e%2e%2fmini"), std::string("a\",b=\"c"), std::string("made-up")}) {
    const RawAnswer answer = CallRaw(kEmbed, Field(1, name) + Field(2, "a"));
    EXPECT_EQ(answer.status.error_code(), grpc::StatusCode::NOT_FOUND) << name.substr(0, 20);
    EXPECT_EQ(answer.status.error_message(), "model: not found");
    EXPECT_THAT(metrics_->Render(), Not(HasSubstr(name)));
  }
  EXPECT_THAT(metrics_->Render(), HasSubstr("model=\"unknown\""));
  EXPECT_TRUE(CallRaw(kEmbed, Field(2, "a")).status.ok());  // an empty name is the only model
}

TEST_F(GrpcFaultsTest, R16UnknownPromptIsRefused) {
  Start();
  const RawAnswer answer = CallRaw(kEmbed, Field(2, "a") + Field(6, "made-up"));
  EXPECT_EQ(answer.status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(answer.status.error_message(), HasSubstr("prompt_name: "));
  EXPECT_THAT(answer.status.error_message(), Not(HasSubstr("made-up")));
}

TEST_F(GrpcFaultsTest, R17AnAnswerAboveTheSendLimitIsRefusedBeforeItIsComputed) {
  rpc_options_.max_send_message_bytes = 2048;
  Start();
  EXPECT_TRUE(CallRaw(kEmbed, Repeat(Field(2, "x"), 32)).status.ok());  // 32 * (4 * 4 + 32) + 512 = 2048
  EXPECT_EQ(TimesComputed('y'), 0u);
  const RawAnswer answer = CallRaw(kEmbed, Repeat(Field(2, "y"), 33));
  EXPECT_EQ(answer.status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(answer.status.error_message(), "response: 2096 bytes, limit 2048");
  EXPECT_EQ(TimesComputed('y'), 0u);
}

TEST_F(GrpcFaultsTest, R19OneByteOverTheReceiveLimit) {
  Start();
  const std::string text = Field(2, "a");
  const size_t limit = rpc_options_.max_receive_message_bytes;
  // Field 15 is unknown: only the size matters. Its tag and length take 4 bytes.
  const std::string fits = text + Field(15, std::string(limit - text.size() - 4, 'p'));
  ASSERT_EQ(fits.size(), limit);
  const grpc::Status at_limit = CallRaw(kEmbed, fits).status;
  EXPECT_TRUE(at_limit.ok()) << at_limit.error_code() << ": " << at_limit.error_message();
  const RawAnswer over = CallRaw(kEmbed, text + Field(15, std::string(limit - text.size() - 3, 'p')));
  EXPECT_EQ(over.status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_TRUE(CallRaw(kEmbed, text).status.ok());
}

TEST_F(GrpcFaultsTest, R21CompressedMessagesAreRefused) {
  Start();
  const auto stub = v1::TextEncoder::NewStub(channel_);
  v1::EmbedRequest request;
  request.add_texts(std::string(1000, 'z'));  // compresses well; the client sends nothing compressed otherwise
  request.set_truncate(true);
  for (const auto algorithm : {GRPC_COMPRESS_GZIP, GRPC_COMPRESS_DEFLATE, GRPC_COMPRESS_NONE}) {
    grpc::ClientContext context;
    context.set_compression_algorithm(algorithm);
    v1::EmbedResponse response;
    const grpc::Status status = stub->Embed(&context, request, &response);
    const bool compressed = algorithm != GRPC_COMPRESS_NONE;
    EXPECT_EQ(status.error_code(), compressed ? grpc::StatusCode::UNIMPLEMENTED : grpc::StatusCode::OK);
    if (compressed) {
      EXPECT_THAT(status.error_message(), HasSubstr("is disabled"));
      EXPECT_EQ(TimesComputed('z'), 0u);
    }
  }
  EXPECT_EQ(TimesComputed('z'), 1u);
}

TEST_F(GrpcFaultsTest, R25ANonFiniteVectorFailsItsCallAlone) {
  model_->on_compute = [](const model::PackedBatch& batch, MatrixView<float> outputs) {
    for (size_t t = 0; t < batch.num_texts(); ++t) {
      if (batch.ids[batch.starts[t]] == 'N') outputs.Row(t)[2] = std::numeric_limits<float>::quiet_NaN();
    }
    return absl::OkStatus();
  };
  Start();
  const RawAnswer answer = CallRaw(kEmbed, Texts({"fine", "NaN"}));
  EXPECT_EQ(answer.status.error_code(), grpc::StatusCode::INTERNAL);
  EXPECT_THAT(answer.status.error_message(), HasSubstr("non-finite output"));
  EXPECT_TRUE(CallRaw(kEmbed, Texts({"fine"})).status.ok());
}

}  // namespace
}  // namespace octet::rpc
