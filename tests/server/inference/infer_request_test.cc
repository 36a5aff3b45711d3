// Requests of inference.GRPCInferenceService as the pipeline gets them, and what a hostile client is told.
#include "server/rpc/inference/infer_request.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "tests/server/inference/infer_bytes.h"
#include "tests/server/request_bytes.h"

namespace octet::rpc {
namespace {

using serving::TextInput;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr RequestLimits kLimits = {.max_texts = 4, .max_text_bytes = 8, .max_text_tokens = 16};

class InferRequestTest : public ::testing::Test {
 protected:
  absl::StatusOr<InferMessage> ParseBytes(const std::string& bytes) const {
    return ParseInfer(Buffer(bytes), limits_, models_.repository());
  }
  absl::StatusOr<std::unique_ptr<ParsedInfer>> Parse(const ModelInferRequest& request) const {
    auto message = ParseBytes(request.SerializeAsString());
    if (!message.ok()) return message.status();
    EXPECT_EQ(message->request_id, request.id());
    return std::move(message->parsed);
  }
  std::string Refusal(const ModelInferRequest& request) const {
    const auto parsed = Parse(request);
    EXPECT_FALSE(parsed.ok());
    EXPECT_NE(serving::ReasonOf(parsed.status()), "") << parsed.status();
    return Message(parsed.status());
  }

  const FakeRepository models_;
  RequestLimits limits_ = kLimits;
};

std::vector<std::string> NamesOf(const std::vector<TensorSpec>& tensors) {
  std::vector<std::string> names;
  for (const TensorSpec& tensor : tensors) names.push_back(tensor.name);
  return names;
}

TEST_F(InferRequestTest, TakesTextsTypedAndRaw) {
  for (const bool is_raw : {false, true}) {
    ModelInferRequest request;
    request.set_id("seven");
    (is_raw ? AddRawTexts : AddTexts)("text", {"ab", "", "\u65e5"}, &request);
    const auto parsed = Parse(request);
    ASSERT_TRUE(parsed.ok()) << parsed.status();
    EXPECT_THAT((*parsed)->request.texts, ElementsAre(TextInput("ab"), TextInput(""), TextInput("\u65e5")));
    EXPECT_STREQ((*parsed)->request.texts_name, "text");
    EXPECT_EQ((*parsed)->request.model, "embedder");
    EXPECT_EQ((*parsed)->request_id, "seven");
    EXPECT_EQ((*parsed)->is_raw, is_raw);
    EXPECT_FALSE((*parsed)->request.with_hidden_states);
    EXPECT_THAT(NamesOf((*parsed)->outputs), ElementsAre("embedding"));
  }
}

TEST_F(InferRequestTest, TakesATextInAColumn) {
  ModelInferRequest request;
  AddTexts("text", {"ab", "c"}, &request);
  request.mutable_inputs(0)->add_shape(1);
  EXPECT_TRUE(Parse(request).ok());
  request.mutable_inputs(0)->set_shape(1, 2);
  EXPECT_EQ(Refusal(request), "text: shape [2, 2], needed [n] or [n, 1]");
}

TEST_F(InferRequestTest, TakesPairsOfAClassificationModel) {
  ModelInferRequest request;
  request.set_model_name("classifier");
  request.set_model_version("0123456789ab");
  AddRawTexts("text_pair", {"b", ""}, &request);
  AddRawTexts("text", {"a", "c"}, &request);
  const auto parsed = Parse(request);
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_THAT((*parsed)->request.texts, ElementsAre(TextInput("a", "b"), TextInput("c", "")));
  EXPECT_EQ((*parsed)->request.task, model::Task::kClassification);
  EXPECT_THAT(NamesOf((*parsed)->outputs), ElementsAre("logits", "label"));
}

TEST_F(InferRequestTest, TakesIdsUpToTheirMaskTypedAndRaw) {
  for (const bool is_raw : {false, true}) {
    ModelInferRequest request;
    const auto add = is_raw ? AddRawIds : AddIds;
    add("input_ids", {2, 3}, {7, 8, 9, 10, -1, 999}, &request);
    add("token_type_ids", {2, 3}, {0, 1, 1, 0, 5, 5}, &request);
    add("attention_mask", {2, 3}, {1, 1, 1, 1, 0, 0}, &request);
    request.add_outputs()->set_name("last_hidden_state");
    request.add_outputs()->set_name("embedding");
    const auto parsed = Parse(request);
    ASSERT_TRUE(parsed.ok()) << parsed.status();
    EXPECT_THAT((*parsed)->request.texts, IsEmpty());
    ASSERT_EQ((*parsed)->request.encodings.size(), 2u);
    EXPECT_THAT((*parsed)->request.encodings[0].ids, ElementsAre(7, 8, 9));
    EXPECT_THAT((*parsed)->request.encodings[0].type_ids, ElementsAre(0, 1, 1));
    EXPECT_THAT((*parsed)->request.encodings[1].ids, ElementsAre(10));  // what is padding is not looked at
    EXPECT_FALSE((*parsed)->request.encodings[1].truncated());
    EXPECT_EQ((*parsed)->row_length, 3u);
    EXPECT_TRUE((*parsed)->request.with_hidden_states);
    EXPECT_THAT(NamesOf((*parsed)->outputs), ElementsAre("last_hidden_state", "embedding"));
  }
}

TEST_F(InferRequestTest, IdsAloneAreAllTokens) {
  ModelInferRequest request;
  AddIds("input_ids", {1, 2}, {5, 6}, &request);
  const auto parsed = Parse(request);
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_THAT((*parsed)->request.encodings[0].ids, ElementsAre(5, 6));
  EXPECT_THAT((*parsed)->request.encodings[0].type_ids, ElementsAre(0, 0));
  EXPECT_STREQ((*parsed)->request.texts_name, "input_ids");
}

TEST_F(InferRequestTest, TakesItsParameters) {
  ModelInferRequest request;
  AddTexts("text", {"a"}, &request);
  AddParameter("truncate", &request)->set_bool_param(true);
  AddParameter("truncation_side", &request)->set_string_param("left");
  AddParameter("normalize", &request)->set_bool_param(false);
  AddParameter("dimensions", &request)->set_int64_param(2);
  AddParameter("prompt_name", &request)->set_string_param("query");
  AddParameter("timeout", &request)->set_int64_param(1500);
  AddParameter("triton_enable_empty_final_response", &request)->set_bool_param(true);
  AddParameter("priority", &request)->set_uint64_param(1);
  const auto parsed = Parse(request);
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  const serving::Request& r = (*parsed)->request;
  EXPECT_TRUE(r.truncate);
  EXPECT_EQ(r.truncation_side, kLeft);
  EXPECT_EQ(r.normalize, false);
  EXPECT_EQ(r.dimensions, 2u);
  EXPECT_EQ(r.prompt_name, "query");
  EXPECT_EQ((*parsed)->parameters.timeout, absl::Microseconds(1500));
  EXPECT_TRUE((*parsed)->parameters.wants_final_flag);
}

TEST_F(InferRequestTest, RefusesParametersThatItDoesNotKnowOrCannotFollow) {
  const auto refusal = [&](const std::string& key, const std::function<void(::inference::InferParameter*)>& set) {
    ModelInferRequest request;
    AddTexts("text", {"a"}, &request);
    set(AddParameter(key, &request));
    return Refusal(request);
  };
  const auto set_bool = [](auto* value) { value->set_bool_param(true); };
  const auto set_string = [](auto* value) { value->set_string_param("up"); };
  const auto set_negative = [](auto* value) { value->set_int64_param(-1); };
  EXPECT_EQ(refusal("truncte", set_bool), "parameters: \"truncte\" is not known");
  EXPECT_EQ(refusal("a secret\n", set_bool), "parameters: a name of 9 bytes is not known");
  EXPECT_EQ(refusal("truncate", set_string), "parameters: truncate is not a bool");
  EXPECT_EQ(refusal("truncation_side", set_string), "parameters: truncation_side is not left or right");
  EXPECT_EQ(refusal("dimensions", set_negative), "parameters: dimensions is not an integer of at least 0");
  EXPECT_EQ(refusal("prompt_name", set_bool), "parameters: prompt_name is not a string");
}

TEST_F(InferRequestTest, OptionsOfAnotherTaskOrInputAreRefused) {
  ModelInferRequest ids;
  AddIds("input_ids", {1, 1}, {5}, &ids);
  AddParameter("truncate", &ids)->set_bool_param(true);
  EXPECT_EQ(Refusal(ids), "parameters: truncate and truncation_side need text");
  ids.mutable_parameters(0)->set_key("prompt_name");
  ids.mutable_parameters(0)->mutable_value()->set_string_param("query");
  EXPECT_EQ(Refusal(ids), "parameters: prompt_name needs text");
  ModelInferRequest classify;
  classify.set_model_name("classifier");
  AddTexts("text", {"a"}, &classify);
  AddParameter("normalize", &classify)->set_bool_param(true);
  EXPECT_EQ(Refusal(classify), "parameters: normalize, dimensions and prompt_name need a model that embeds");
}

TEST_F(InferRequestTest, UnknownModelsAndVersionsAreNotFound) {
  ModelInferRequest request;
  AddTexts("text", {"a"}, &request);
  request.set_model_name("other");
  EXPECT_TRUE(absl::IsNotFound(Parse(request).status()));
  request.set_model_name("embedder");
  for (const char* const version : {"", "1", "0123456789ab"}) {
    request.set_model_version(version);
    EXPECT_TRUE(Parse(request).ok()) << version;
  }
  request.set_model_version("2");
  EXPECT_TRUE(absl::IsNotFound(Parse(request).status()));
  EXPECT_EQ(Refusal(request), "model_version: not found");
}

TEST_F(InferRequestTest, NamesTheTensorThatTheModelDoesNotHave) {
  ModelInferRequest request;
  AddTexts("texts", {"a"}, &request);
  EXPECT_EQ(Refusal(request),
            "inputs: \"texts\" is no input of the model, which takes text, input_ids, attention_mask, token_type_ids");
  request.mutable_inputs(0)->set_name("text");
  request.add_outputs()->set_name("logits");
  EXPECT_EQ(Refusal(request), "outputs: \"logits\" is no output of the model, which has embedding, last_hidden_state");
  request.mutable_outputs(0)->set_name("embedding");
  request.add_outputs()->set_name("embedding");
  EXPECT_EQ(Refusal(request), "outputs: embedding is asked for twice");
  request.mutable_outputs()->RemoveLast();
  request.mutable_outputs(0)->add_parameters()->set_key("classification");
  EXPECT_EQ(Refusal(request), "embedding: parameter \"classification\" is not supported");
}

TEST_F(InferRequestTest, RefusesTensorsThatDoNotBelongTogether) {
  ModelInferRequest request;
  EXPECT_EQ(Refusal(request), "inputs: neither text nor input_ids, one of them is needed");
  AddTexts("text", {"a"}, &request);
  AddIds("attention_mask", {1, 1}, {1}, &request);
  EXPECT_EQ(Refusal(request), "attention_mask: given, but it belongs to input_ids");
  AddIds("input_ids", {1, 1}, {1}, &request);
  EXPECT_EQ(Refusal(request), "inputs: both text and input_ids, one of them is needed");
  ModelInferRequest twice;
  AddTexts("text", {"a"}, &twice);
  AddTexts("text", {"b"}, &twice);
  EXPECT_EQ(Refusal(twice), "text: given twice");
  ModelInferRequest pairs;
  pairs.set_model_name("classifier");
  AddTexts("text", {"a", "b"}, &pairs);
  AddTexts("text_pair", {"c"}, &pairs);
  EXPECT_EQ(Refusal(pairs), "text_pair: 1 items for 2 of text");
}

TEST_F(InferRequestTest, TextsMustBeWhatTheirShapeAndTheLimitsSay) {
  ModelInferRequest request;
  AddTexts("text", {"a", "b"}, &request);
  auto& text = *request.mutable_inputs(0);
  for (const auto& [rows, refusal] :
       std::vector<std::pair<int64_t, std::string>>{{-1, "text: shape [-1], needed [n] or [n, 1]"},
                                                    {0, "text: empty"},
                                                    {3, "text: 2 texts, its shape needs 3"},
                                                    {5, "text: 5 items, limit 4"},
                                                    {INT64_MAX, "text: 9223372036854775807 items, limit 4"}}) {
    text.set_shape(0, rows);
    EXPECT_EQ(Refusal(request), refusal);
  }
  text.set_shape(0, 2);
  text.mutable_contents()->set_bytes_contents(1, "123456789");
  EXPECT_EQ(Refusal(request), "text[1]: 9 bytes, limit 8");
  text.mutable_contents()->set_bytes_contents(1, "a\xff");
  EXPECT_EQ(Refusal(request), "text[1]: not valid UTF-8 at byte 1");
  text.mutable_contents()->set_bytes_contents(1, "b");
  text.mutable_contents()->add_int64_contents(1);
  EXPECT_EQ(Refusal(request), "text: contents of another type than BYTES");
  text.set_datatype("INT64");
  EXPECT_EQ(Refusal(request), "text: datatype \"INT64\", needed BYTES");
  text.set_datatype("BYTES");
  text.mutable_contents()->clear_int64_contents();
  text.clear_shape();
  for (int i = 0; i < 5; ++i) text.add_shape(1);
  EXPECT_EQ(Refusal(request), "text: shape 5 dimensions, needed [n] or [n, 1]");
}

TEST_F(InferRequestTest, RawTextsAreReadNoFurtherThanTheyGo) {
  ModelInferRequest request;
  AddRawTexts("text", {"a", "b"}, &request);
  const std::string good = request.raw_input_contents(0);
  for (size_t size = 0; size < good.size(); ++size) {
    request.set_raw_input_contents(0, good.substr(0, size));
    EXPECT_THAT(Refusal(request), ::testing::MatchesRegex("text\\[.\\]: raw contents end within it.*")) << size;
  }
  request.set_raw_input_contents(0, good + "xyz");
  EXPECT_EQ(Refusal(request), "text: 3 raw bytes behind the 2 of its shape");
  request.set_raw_input_contents(0, RawNumbers<uint32_t>({UINT32_MAX, 0}));
  EXPECT_THAT(Refusal(request), ::testing::StartsWith("text[0]: raw contents end within it"));
  request.set_raw_input_contents(0, RawTexts({"a", "123456789"}));
  EXPECT_EQ(Refusal(request), "text[1]: 9 bytes, limit 8");
  request.set_raw_input_contents(0, RawTexts({"\xc3", "a"}));
  EXPECT_EQ(Refusal(request), "text[0]: not valid UTF-8 at byte 0");
}

TEST_F(InferRequestTest, RawContentsAreOneForEachInputAndInPlaceOfTypedOnes) {
  ModelInferRequest request;
  AddRawTexts("text", {"a"}, &request);
  request.add_raw_input_contents("");
  EXPECT_EQ(Refusal(request), "raw_input_contents: 2 items for 1 inputs");
  request.mutable_raw_input_contents()->RemoveLast();
  request.mutable_inputs(0)->mutable_contents()->add_bytes_contents("a");
  EXPECT_EQ(Refusal(request), "text: contents and raw_input_contents, one of them is needed");
  request.mutable_inputs(0)->clear_contents();
  request.mutable_inputs(0)->add_parameters()->set_key("shared_memory_region");
  EXPECT_EQ(Refusal(request), "text: parameter \"shared_memory_region\" is not supported");
}

TEST_F(InferRequestTest, IdsMustBeWhatTheirShapeAndTheLimitsSay) {
  const auto refusal = [&](const std::vector<int64_t>& shape, const std::vector<int64_t>& values, bool is_raw) {
    ModelInferRequest request;
    (is_raw ? AddRawIds : AddIds)("input_ids", shape, values, &request);
    return Refusal(request);
  };
  EXPECT_EQ(refusal({2}, {1, 2}, false), "input_ids: shape [2], needed [n, length]");
  EXPECT_EQ(refusal({2, -1}, {1, 2}, false), "input_ids: shape [2, -1], needed [n, length]");
  EXPECT_EQ(refusal({2, 0}, {}, true), "input_ids: empty");
  EXPECT_EQ(refusal({5, 1}, {1, 2, 3, 4, 5}, true), "input_ids: 5 items, limit 4");
  EXPECT_EQ(refusal({1, 17}, std::vector<int64_t>(17), false), "input_ids: shape [1, 17], row limit 16");
  EXPECT_EQ(refusal({INT64_MAX, INT64_MAX}, {1}, true), "input_ids: 9223372036854775807 items, limit 4");
  EXPECT_EQ(refusal({2, 2}, {1, 2, 3}, false), "input_ids: 3 values, its shape needs 4");
  EXPECT_EQ(refusal({2, 2}, {1, 2, 3}, true), "input_ids: 24 bytes, its shape needs 32");
  EXPECT_EQ(refusal({1, 1}, {int64_t{1} << 32}, true), "input_ids[0]: id 4294967296, which does not fit 32 bits");
}

TEST_F(InferRequestTest, MasksAreOnesAndThenZeros) {
  for (const std::vector<int64_t>& mask :
       std::vector<std::vector<int64_t>>{{0, 1, 1}, {1, 0, 1}, {1, 2, 0}, {1, -1, 0}, {1, 1, INT64_MAX}}) {
    ModelInferRequest request;
    AddRawIds("input_ids", {1, 3}, {1, 2, 3}, &request);
    AddRawIds("attention_mask", {1, 3}, mask, &request);
    EXPECT_EQ(Refusal(request), "attention_mask[0]: not ones and then zeros; octet takes padding on the right only");
  }
  ModelInferRequest request;
  AddRawIds("input_ids", {1, 3}, {1, 2, 3}, &request);
  AddRawIds("attention_mask", {1, 2}, {1, 1}, &request);
  EXPECT_EQ(Refusal(request), "attention_mask: shape [1, 2], needed that of input_ids, [1, 3]");
}

TEST_F(InferRequestTest, AnAnswerThatWouldBeTooLargeIsRefusedBeforeCompute) {
  ModelInferRequest request;
  AddIds("input_ids", {4, 16}, std::vector<int64_t>(64, 1), &request);
  request.add_outputs()->set_name("last_hidden_state");
  limits_.max_response_bytes = 1024;  // of hidden states alone there are 4 * 16 * 4 * 4
  EXPECT_THAT(Refusal(request), ::testing::MatchesRegex("response: [0-9]+ bytes, limit 1024"));
  request.clear_outputs();
  EXPECT_TRUE(Parse(request).ok());
}

TEST_F(InferRequestTest, CountsBeforeItParses) {
  ModelInferRequest texts;
  AddTexts("text", std::vector<std::string>(9), &texts);
  EXPECT_EQ(Refusal(texts), "inputs: 9 texts, limit 8");
  ModelInferRequest numbers;
  AddIds("input_ids", {1, 1}, std::vector<int64_t>(4 * 16 + 17), &numbers);
  EXPECT_EQ(Refusal(numbers), "inputs[0]: 83 numbers, limit 80");  // two of them are its shape
  ModelInferRequest shape;
  AddInput("text", "BYTES", std::vector<int64_t>(1000, 1), &shape);
  EXPECT_EQ(Refusal(shape), "inputs[0]: 1000 numbers, limit 80");
  ModelInferRequest parameters;
  for (int i = 0; i < 400; ++i) parameters.add_outputs()->add_parameters()->mutable_value();
  EXPECT_EQ(Refusal(parameters), "request: not a valid ModelInferRequest");
}

TEST_F(InferRequestTest, WhatIsNoMessageEndsAStream) {
  // A truncated field, one inside an input, and bad UTF-8 in a name.
  for (const std::string bytes : {"\x0a\x05"
                                  "a",
                                  "\x2a\x02\x0a\x05", "\x2a\x03\x0a\x01\xff", "\x07"}) {
    const auto message = ParseBytes(bytes);
    EXPECT_EQ(Message(message.status()), "request: not a valid ModelInferRequest");
  }
  EXPECT_TRUE(ParseBytes("").ok());  // a message without fields is one, and a bad request
}

// Every single changed, missing or additional byte: an answer or a refusal with a reason, whatever comes of it.
TEST_F(InferRequestTest, NoChangedByteIsAnythingButARequestOrARefusal) {
  ModelInferRequest typed, raw;
  AddTexts("text", {"ab", "c"}, &typed);
  AddParameter("truncate", &typed)->set_bool_param(true);
  AddRawIds("input_ids", {2, 2}, {1, 2, 3, 4}, &raw);
  AddRawIds("attention_mask", {2, 2}, {1, 1, 1, 0}, &raw);
  raw.add_outputs()->set_name("last_hidden_state");
  size_t num_taken = 0, num_refused = 0;
  const auto parse = [&](const std::string& bytes) {
    const auto message = ParseBytes(bytes);
    const absl::Status status = message.ok() ? message->parsed.status() : message.status();
    EXPECT_TRUE(status.ok() || absl::IsInvalidArgument(status) || absl::IsNotFound(status)) << status;
    EXPECT_EQ(status.ok(), serving::ReasonOf(status).empty()) << status;
    ++(status.ok() ? num_taken : num_refused);
  };
  for (const ModelInferRequest& request : {typed, raw}) {
    const std::string good = request.SerializeAsString();
    for (size_t at = 0; at < good.size(); ++at) {
      parse(good.substr(0, at));
      for (int change = 1; change < 256; ++change) {
        std::string changed = good;
        changed[at] = static_cast<char>(changed[at] ^ change);
        parse(changed);
      }
      parse(good.substr(0, at) + '\xff' + good.substr(at));
    }
  }
  EXPECT_GT(num_taken, 100u);  // another id or letter is as good
  EXPECT_GT(num_refused, 10000u);
}

}  // namespace
}  // namespace octet::rpc
