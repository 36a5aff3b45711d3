// Requests of tei.v1 to classify and rerank as the pipeline gets them. Embed is in request_codec_test.cc.
#include "server/rpc/tei_codec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tei/v1/tei.pb.h"
#include "tests/server/request_bytes.h"
#include "tests/serving/fakes.h"

namespace octet::rpc {
namespace {

namespace tei = ::tei::v1;
using serving::TextInput;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

template <typename RequestMessage>
grpc::ByteBuffer BytesOf(const RequestMessage& message) {
  return Buffer(message.SerializeAsString());
}

tei::RerankRequest Rerank(const std::string& query, const std::vector<std::string>& texts) {
  tei::RerankRequest request;
  request.set_query(query);
  for (const std::string& text : texts) request.add_texts(text);
  return request;
}

TEST(ParseTeiPredictTest, TakesOneText) {
  tei::PredictRequest request;
  request.set_inputs("\u65e5\u672c");
  request.set_truncate(true);
  request.set_raw_scores(true);
  request.set_truncation_direction(tei::TRUNCATION_DIRECTION_LEFT);
  const auto parsed = ParseTeiPredict(BytesOf(request), {});
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ((*parsed)->request.task, model::Task::kClassification);
  EXPECT_THAT((*parsed)->request.texts, ElementsAre(TextInput("\u65e5\u672c")));
  EXPECT_STREQ((*parsed)->request.texts_name, "inputs");
  EXPECT_TRUE((*parsed)->request.truncate);
  EXPECT_EQ((*parsed)->request.truncation_side, kLeft);
  EXPECT_TRUE((*parsed)->raw_scores);
  EXPECT_EQ((*parsed)->num_chars, 2u);
  request.set_truncation_direction(static_cast<tei::TruncationDirection>(2));
  EXPECT_EQ(Message(ParseTeiPredict(BytesOf(request), {}).status()), "truncation_direction: unknown value 2");
}

TEST(ParseTeiPredictTest, APairIsExactlyTwoTexts) {
  tei::PredictPairRequest request;
  EXPECT_EQ(Message(ParseTeiPredictPair(BytesOf(request), {}).status()), "inputs: 0 items, 2 are needed");
  request.add_inputs("ab");
  EXPECT_EQ(Message(ParseTeiPredictPair(BytesOf(request), {}).status()), "inputs: 1 items, 2 are needed");
  request.add_inputs("");
  const auto parsed = ParseTeiPredictPair(BytesOf(request), {});
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_THAT((*parsed)->request.texts, ElementsAre(TextInput("ab", "")));
  EXPECT_EQ((*parsed)->num_chars, 2u);
  request.add_inputs("c");
  EXPECT_EQ(Message(ParseTeiPredictPair(BytesOf(request), {}).status()), "inputs: 3 items, limit 2");
  EXPECT_EQ(Message(ParseTeiPredictPair(Buffer("\x0a\x01\xff"), {}).status()), "inputs[0]: not valid UTF-8 at byte 0");
}

TEST(ParseTeiRerankTest, PairsTheQueryWithEachText) {
  tei::RerankRequest request = Rerank("q", {"a", "", "bc"});
  request.set_return_text(true);
  const auto parsed = ParseTeiRerank(BytesOf(request), {});
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_THAT((*parsed)->request.texts, ElementsAre(TextInput("q", "a"), TextInput("q", ""), TextInput("q", "bc")));
  EXPECT_EQ((*parsed)->request.num_labels, 1u);
  EXPECT_THAT((*parsed)->texts_to_return, ElementsAre("a", "", "bc"));
  EXPECT_EQ((*parsed)->num_chars, 6u);
  request.set_return_text(false);
  EXPECT_THAT((*ParseTeiRerank(BytesOf(request), {}))->texts_to_return, IsEmpty());
}

TEST(ParseTeiRerankTest, NamesWhatIsWrong) {
  const RequestLimits limits = {.max_texts = 2, .max_text_bytes = 10};
  const auto refusal = [&](const tei::RerankRequest& request) {
    return Message(ParseTeiRerank(BytesOf(request), limits).status());
  };
  EXPECT_EQ(refusal(Rerank("q", {})), "texts: empty");
  EXPECT_EQ(refusal(Rerank("q", {"a", "b", "c"})), "texts: 3 items, limit 2");
  EXPECT_EQ(refusal(Rerank("q", {"a", std::string(11, 'x')})), "texts[1]: 11 bytes, limit 10");
  EXPECT_EQ(refusal(Rerank(std::string(11, 'x'), {"a"})), "query: 11 bytes, limit 10");
  EXPECT_EQ(serving::ReasonOf(ParseTeiRerank(BytesOf(Rerank(std::string(11, 'x'), {"a"})), limits).status()),
            serving::kReasonTooLong);
  EXPECT_EQ(Message(ParseTeiRerank(Buffer("\x0a\x01\xff\x12\x01z"), limits).status()),
            "query: not valid UTF-8 at byte 0");
  EXPECT_EQ(Message(ParseTeiRerank(Buffer("\xff"), limits).status()), "request: not a valid RerankRequest");
}

tei::RerankStreamRequest One(const std::string& query, const std::string& text) {
  tei::RerankStreamRequest request;
  request.set_query(query);
  request.set_text(text);
  return request;
}

TEST(ParseTeiRerankStreamTest, GathersItsMessagesWithTheScoresOfTheFirst) {
  tei::RerankStreamRequest first = One("q", "a"), second = One("r", "b");
  first.set_raw_scores(true);
  first.set_return_text(true);
  const std::vector<grpc::ByteBuffer> messages = {BytesOf(first), BytesOf(second)};
  const auto parsed = ParseTeiRerankStream(messages, {});
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_THAT((*parsed)->request.texts, ElementsAre(TextInput("q", "a"), TextInput("r", "b")));
  EXPECT_EQ((*parsed)->request.task, model::Task::kClassification);
  EXPECT_EQ((*parsed)->request.num_labels, 1u);
  EXPECT_TRUE((*parsed)->raw_scores);
  EXPECT_THAT((*parsed)->texts_to_return, ElementsAre("a", "b"));
}

TEST(ParseTeiRerankStreamTest, NamesWhatIsWrong) {
  const RequestLimits limits = {.max_texts = 2, .max_text_bytes = 10};
  const auto refusal = [&](const std::vector<tei::RerankStreamRequest>& requests) {
    std::vector<grpc::ByteBuffer> messages;
    for (const auto& request : requests) messages.push_back(BytesOf(request));
    return Message(ParseTeiRerankStream(messages, limits).status());
  };
  tei::RerankStreamRequest truncated = One("q", "a");
  truncated.set_truncate(true);
  EXPECT_EQ(refusal({}), "request: no message on the stream");
  EXPECT_EQ(refusal({One("q", "a"), One("q", "b"), One("q", "c")}), "texts: 3 items, limit 2");
  EXPECT_EQ(refusal({One("q", "a"), One("q", std::string(11, 'x'))}), "text: 11 bytes, limit 10");
  EXPECT_EQ(refusal({One(std::string(11, 'x'), "a")}), "query: 11 bytes, limit 10");
  EXPECT_EQ(refusal({One("q", "a"), truncated}),
            "truncate or truncation_direction: differs between messages, one value is needed");
  const std::vector<grpc::ByteBuffer> garbage = {BytesOf(One("q", "a")), Buffer("\xff")};
  EXPECT_EQ(Message(ParseTeiRerankStream(garbage, limits).status()), "request: not a valid RerankStreamRequest");
}

serving::Response Answer(std::vector<std::string> labels, std::vector<float> outputs, size_t num_texts) {
  const auto model = std::make_shared<serving::FakeServable>();
  model->SetLabels(std::move(labels));
  serving::Response response;
  response.served = std::make_shared<serving::ServedModel>(
      serving::ServedModel{.name = "mini", .model = model, .load_time = {}, .predictions = {}});
  for (size_t i = 0; i <= num_texts; ++i) response.output_starts.push_back(i * outputs.size() / num_texts);
  response.outputs = std::move(outputs);
  response.num_tokens.assign(num_texts, 4);
  response.truncated.assign(num_texts, false);
  return response;
}

TEST(EncodeTeiPredictTest, SeveralLabelsAreASoftmaxAndOneASigmoid) {
  ParsedTei request;
  request.num_chars = 9;
  tei::PredictResponse message;
  const serving::Response three = Answer({"a", "b", "c"}, {0, 1, 0}, 1);
  ASSERT_TRUE(message.ParseFromString(ToString(EncodeTeiPredictResponse(three, request, absl::Seconds(1)))));
  ASSERT_EQ(message.predictions_size(), 3);
  EXPECT_EQ(message.predictions(0).label(), "b");
  EXPECT_EQ(message.predictions(1).label(), "a");               // as good as "c", and before it
  EXPECT_FLOAT_EQ(message.predictions(0).score(), 0.5761169f);  // e / (e + 2)
  EXPECT_EQ(message.metadata().compute_chars(), 9u);
  EXPECT_EQ(message.metadata().compute_tokens(), 4u);
  request.raw_scores = true;
  ASSERT_TRUE(message.ParseFromString(ToString(EncodeTeiPredictResponse(three, request, absl::Seconds(1)))));
  EXPECT_EQ(message.predictions(0).score(), 1);
  request.raw_scores = false;
  const serving::Response one = Answer({"a"}, {0}, 1);
  ASSERT_TRUE(message.ParseFromString(ToString(EncodeTeiPredictResponse(one, request, absl::Seconds(1)))));
  EXPECT_EQ(message.predictions(0).score(), 0.5f);
}

TEST(EncodeTeiRerankTest, RanksByScoreAndKeepsTheIndexOfTheText) {
  ParsedTei request;
  request.texts_to_return = {"w", "x", "y", "z"};
  tei::RerankResponse message;
  const serving::Response response = Answer({"a"}, {0, 2, -1, 2}, 4);
  ASSERT_TRUE(message.ParseFromString(ToString(EncodeTeiRerankResponse(response, request, absl::Seconds(1)))));
  ASSERT_EQ(message.ranks_size(), 4);
  const uint32_t order[] = {1, 3, 0, 2};
  const char* texts[] = {"x", "z", "w", "y"};
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(message.ranks(i).index(), order[i]);
    EXPECT_EQ(message.ranks(i).text(), texts[i]);
  }
  EXPECT_EQ(message.ranks(2).score(), 0.5f);
  EXPECT_EQ(message.metadata().compute_tokens(), 16u);
  request.raw_scores = true;
  request.texts_to_return.clear();
  ASSERT_TRUE(message.ParseFromString(ToString(EncodeTeiRerankResponse(response, request, absl::Seconds(1)))));
  EXPECT_EQ(message.ranks(0).score(), 2);
  EXPECT_FALSE(message.ranks(0).has_text());
}

// R17: what a request is checked for is never less than its answer.
TEST(EncodeTeiRerankTest, NoAnswerIsLargerThanItsRequestWasCheckedFor) {
  for (const size_t num_texts : {1, 2, 128}) {
    for (const bool return_text : {false, true}) {
      tei::RerankRequest request = Rerank("q", std::vector<std::string>(num_texts, std::string(200, 't')));
      request.set_return_text(return_text);
      const auto parsed = ParseTeiRerank(BytesOf(request), {});
      ASSERT_TRUE(parsed.ok());
      const size_t size = EncodeTeiRerankResponse(Answer({"a"}, std::vector<float>(num_texts, 1.5f), num_texts),
                                                  **parsed, absl::InfiniteDuration())
                              .Length();
      EXPECT_TRUE(absl::IsInvalidArgument(ParseTeiRerank(BytesOf(request), {.max_response_bytes = size - 1}).status()));
    }
  }
}

}  // namespace
}  // namespace octet::rpc
