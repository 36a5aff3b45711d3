// Answers of inference.GRPCInferenceService as a client reads them.
#include "server/rpc/inference/infer_response.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "inference/inference.pb.h"
#include "tests/server/bytes.h"
#include "tests/server/inference/infer_bytes.h"

namespace octet::rpc {
namespace {

using ::inference::ModelInferResponse;
using ::inference::ModelStreamInferResponse;
using ::testing::ElementsAre;
using ::testing::ElementsAreArray;

// Texts of three tokens and one, of `model`; hidden states of token i of all are {10i, 10i + 1, 10i + 2, 10i + 3}.
class InferResponseTest : public ::testing::Test {
 protected:
  void Fill(const std::string& model, std::vector<float> outputs) {
    response_.served = *models_.repository().Find(model);
    response_.model = model;
    response_.output_starts = {0, outputs.size() / 2, outputs.size()};
    response_.outputs = std::move(outputs);
    response_.num_tokens = {3, 1};
    for (int token = 0; token < 4; ++token) {
      for (int i = 0; i < 4; ++i) response_.hidden_states.push_back(static_cast<float>(10 * token + i));
    }
    request_.request_id = "id";
  }

  void Ask(const std::vector<std::string>& names) {
    const auto all = OutputTensors(response_.served->model->info());
    request_.outputs.clear();
    for (const std::string& name : names) request_.outputs.push_back(*FindTensorOrNull(all, name));
  }

  ModelInferResponse Encode() const {
    ModelInferResponse message;
    EXPECT_TRUE(message.ParseFromString(ToString(EncodeInferResponse(response_, request_))));
    EXPECT_EQ(message.outputs_size(), static_cast<int>(request_.outputs.size()));
    return message;
  }

  const FakeRepository models_;
  serving::Response response_;
  ParsedInfer request_;
};

// The FP32 values of an output, wherever they are.
std::vector<float> ValuesOf(const ModelInferResponse& message, int output_idx) {
  if (message.raw_output_contents().empty()) {
    const auto& values = message.outputs(output_idx).contents().fp32_contents();
    return {values.begin(), values.end()};
  }
  EXPECT_FALSE(message.outputs(output_idx).has_contents());
  const std::string& raw = message.raw_output_contents(output_idx);
  std::vector<float> values(raw.size() / sizeof(float));
  std::memcpy(values.data(), raw.data(), raw.size());
  return values;
}

TEST_F(InferResponseTest, WritesEmbeddingsTypedAndRaw) {
  Fill("embedder", {1, 2, 3, 4, 5, 6, 7, 8});
  Ask({"embedding"});
  for (const bool is_raw : {false, true}) {
    request_.is_raw = is_raw;
    const ModelInferResponse message = Encode();
    EXPECT_EQ(message.model_name(), "embedder");
    EXPECT_EQ(message.model_version(), "1");
    EXPECT_EQ(message.id(), "id");
    EXPECT_EQ(message.parameters_size(), 0);
    EXPECT_EQ(message.raw_output_contents_size(), is_raw ? 1 : 0);
    EXPECT_EQ(message.outputs(0).name(), "embedding");
    EXPECT_EQ(message.outputs(0).datatype(), "FP32");
    EXPECT_THAT(message.outputs(0).shape(), ElementsAre(2, 4));
    EXPECT_THAT(ValuesOf(message, 0), ElementsAre(1, 2, 3, 4, 5, 6, 7, 8));
  }
}

TEST_F(InferResponseTest, FillsPaddingOfHiddenStatesWithZeros) {
  Fill("embedder", {1, 2, 3, 4, 5, 6, 7, 8});
  Ask({"last_hidden_state", "embedding"});
  for (const size_t row_length : {0, 3, 5}) {  // 0: of texts, the longest
    request_.row_length = row_length;
    const size_t length = row_length == 0 ? 3 : row_length;
    std::vector<float> expected(2 * length * 4);
    std::copy_n(response_.hidden_states.begin(), 12, expected.begin());
    std::copy_n(response_.hidden_states.begin() + 12, 4, expected.begin() + static_cast<ptrdiff_t>(length * 4));
    for (const bool is_raw : {false, true}) {
      request_.is_raw = is_raw;
      const ModelInferResponse message = Encode();
      EXPECT_THAT(message.outputs(0).shape(), ElementsAre(2, static_cast<int64_t>(length), 4));
      EXPECT_THAT(ValuesOf(message, 0), ElementsAreArray(expected));
      EXPECT_THAT(ValuesOf(message, 1), ElementsAreArray(response_.outputs));
    }
  }
}

TEST_F(InferResponseTest, ALongPaddingIsAllZeros) {
  Fill("embedder", {1, 2, 3, 4, 5, 6, 7, 8});
  Ask({"last_hidden_state"});
  request_.row_length = 1000;
  request_.is_raw = true;
  const std::vector<float> values = ValuesOf(Encode(), 0);
  ASSERT_EQ(values.size(), 2u * 1000 * 4);
  EXPECT_EQ(values[4000], 30);
  EXPECT_TRUE(std::all_of(values.begin() + 4004, values.end(), [](float value) { return value == 0; }));
}

TEST_F(InferResponseTest, WritesTheLabelOfTheLargestLogit) {
  Fill("classifier", {-1, -2, 3, 3});
  Ask({"label", "logits"});
  const ModelInferResponse typed = Encode();
  EXPECT_EQ(typed.outputs(0).datatype(), "BYTES");
  EXPECT_THAT(typed.outputs(0).shape(), ElementsAre(2));
  EXPECT_THAT(typed.outputs(0).contents().bytes_contents(), ElementsAre("a", "a"));  // of equal ones the first
  EXPECT_THAT(typed.outputs(1).shape(), ElementsAre(2, 2));
  EXPECT_THAT(ValuesOf(typed, 1), ElementsAre(-1, -2, 3, 3));
  response_.outputs[3] = 4;
  request_.is_raw = true;
  EXPECT_EQ(Encode().raw_output_contents(0), RawTexts({"a", "b"}));
}

TEST_F(InferResponseTest, SaysThatItIsTheLastWhenAskedTo) {
  Fill("embedder", {1, 2, 3, 4, 5, 6, 7, 8});
  Ask({"embedding"});
  request_.parameters.wants_final_flag = true;
  ModelStreamInferResponse message;
  ASSERT_TRUE(message.ParseFromString(ToString(EncodeInferStreamResponse(response_, request_))));
  EXPECT_EQ(message.error_message(), "");
  EXPECT_EQ(message.infer_response().SerializeAsString(), Encode().SerializeAsString());
  ASSERT_EQ(message.infer_response().parameters_size(), 1);
  EXPECT_EQ(message.infer_response().parameters(0).key(), "triton_final_response");
  EXPECT_TRUE(message.infer_response().parameters(0).value().bool_param());
}

TEST_F(InferResponseTest, AStreamsErrorHasItsIdAndMessage) {
  ModelStreamInferResponse message;
  const absl::Status status = absl::InvalidArgumentError("text: empty");
  ASSERT_TRUE(message.ParseFromString(ToString(EncodeInferStreamError("id", status))));
  EXPECT_EQ(message.error_message(), "text: empty");
  EXPECT_EQ(message.infer_response().id(), "id");
}

TEST_F(InferResponseTest, IsNeverLargerThanItWasCountedAs) {
  for (const std::string model : {"embedder", "classifier"}) {
    response_ = {};
    Fill(model, std::vector<float>(model == "embedder" ? 8 : 4, 1.0f));
    const model::ModelInfo& info = response_.served->model->info();
    request_.outputs = OutputTensors(info);
    request_.request.texts.resize(2);
    for (const size_t row_length : {0, 3, 16}) {
      for (const bool is_raw : {false, true}) {
        request_.row_length = row_length;
        request_.is_raw = is_raw;
        EXPECT_LE(EncodeInferStreamResponse(response_, request_).Length(), InferResponseBytes(request_, info));
      }
    }
  }
}

}  // namespace
}  // namespace octet::rpc
