// Requests to classify as the pipeline gets them, and answers as protobuf reads them back.
#include "server/rpc/classify_codec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "tests/server/request_bytes.h"
#include "tests/serving/fakes.h"

namespace octet::rpc {
namespace {

using model::ScoreActivation;
using serving::TextInput;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

v1::ClassifyRequest Inputs(const std::vector<std::string>& texts) {
  v1::ClassifyRequest request;
  for (const std::string& text : texts) request.add_inputs()->set_text(text);
  return request;
}

absl::StatusOr<std::unique_ptr<ParsedClassify>> Parse(const v1::ClassifyRequest& request,
                                                      const RequestLimits& limits = {}) {
  return ParseClassify(Buffer(request.SerializeAsString()), limits);
}

std::string Refusal(const v1::ClassifyRequest& request, const RequestLimits& limits = {}) {
  const absl::Status status = Parse(request, limits).status();
  EXPECT_TRUE(status.ok() || absl::IsInvalidArgument(status)) << status;
  EXPECT_EQ(status.ok(), serving::ReasonOf(status).empty());
  return Message(status);
}

serving::ServedModel Served(std::vector<std::string> labels) {
  const auto model = std::make_shared<serving::FakeServable>();
  model->SetLabels(std::move(labels));
  return {.name = "mini", .model = model, .load_time = absl::Seconds(1), .predictions = {}};
}

TEST(ParseClassifyTest, TakesTextsAndPairsAndEveryOption) {
  v1::ClassifyRequest request = Inputs({"a", ""});
  v1::TextInput& pair = *request.add_inputs();
  pair.set_text("first");
  pair.set_pair("second");
  request.add_inputs()->set_pair("");
  request.set_model("mini");
  request.set_truncate(true);
  request.set_truncation_side(v1::TRUNCATION_SIDE_LEFT);
  request.set_score_mode(v1::SCORE_MODE_SIGMOID);
  request.set_top_k(0);
  request.set_threshold(-2.5f);
  request.set_with_logits(true);
  const auto parsed = Parse(request);
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  const serving::Request& r = (*parsed)->request;
  EXPECT_EQ(r.task, model::Task::kClassification);
  EXPECT_EQ(r.num_labels, std::nullopt);
  EXPECT_EQ(r.model, "mini");
  EXPECT_STREQ(r.texts_name, "inputs");
  // A pair with an empty text is not a text alone.
  EXPECT_THAT(r.texts, ElementsAre(TextInput("a"), TextInput(""), TextInput("first", "second"), TextInput("", "")));
  EXPECT_TRUE(r.truncate);
  EXPECT_EQ(r.truncation_side, kLeft);
  EXPECT_EQ((*parsed)->activation, ScoreActivation::kSigmoid);
  EXPECT_EQ((*parsed)->top_k, 0u);
  EXPECT_EQ((*parsed)->threshold, -2.5f);
  EXPECT_TRUE((*parsed)->with_logits);

  const auto plain = Parse(Inputs({"a"}));
  ASSERT_TRUE(plain.ok());
  EXPECT_EQ((*plain)->activation, std::nullopt);
  EXPECT_EQ((*plain)->top_k, std::nullopt);
  EXPECT_EQ((*plain)->threshold, std::nullopt);
}

TEST(ParseClassifyTest, NamesWhatIsWrong) {
  EXPECT_EQ(Refusal(v1::ClassifyRequest()), "inputs: empty");
  EXPECT_EQ(Refusal(Inputs(std::vector<std::string>(129, "a"))), "inputs: 129 items, limit 128");
  EXPECT_EQ(Refusal(Inputs({"a", std::string(65537, 'x')})), "inputs[1].text: 65537 bytes, limit 65536");
  v1::ClassifyRequest request = Inputs({"a"});
  request.mutable_inputs(0)->set_pair(std::string(65537, 'x'));
  EXPECT_EQ(Refusal(request), "inputs[0].pair: 65537 bytes, limit 65536");
  request = Inputs({"a"});
  request.set_score_mode(static_cast<v1::ScoreMode>(9));
  EXPECT_EQ(Refusal(request), "score_mode: unknown value 9");
  request = Inputs({"a"});
  request.set_truncation_side(static_cast<v1::TruncationSide>(7));
  EXPECT_EQ(Refusal(request), "truncation_side: unknown value 7");
  for (const float threshold : {std::nanf(""), std::numeric_limits<float>::infinity()}) {
    request = Inputs({"a"});
    request.set_threshold(threshold);
    EXPECT_EQ(Refusal(request), "threshold: not a finite number");
  }
  EXPECT_EQ(Message(ParseClassify(Buffer("\xff\xff"), {}).status()), "request: not a valid ClassifyRequest");
  EXPECT_EQ(Message(ParseClassify(Buffer("\x12\x03\x0a\x01\xff"), {}).status()),
            "inputs[0].text: not valid UTF-8 at byte 0");
}

TEST(ParseClassifyStreamTest, ABadRequestKeepsItsIdAndIsNoEndOfTheStream) {
  const auto good = ParseClassifyStream(Buffer("\x08\x2a" + Stream(Inputs({"a"}).SerializeAsString())), {});
  ASSERT_TRUE(good.ok() && good->parsed.ok());
  EXPECT_EQ((*good->parsed)->id, 42u);
  const auto bad = ParseClassifyStream(Buffer("\x08\x2a" + Stream("\xff")), {});
  ASSERT_TRUE(bad.ok());
  EXPECT_EQ(bad->id, 42u);
  EXPECT_EQ(Message(bad->parsed.status()), "request: not a valid ClassifyRequest");
  EXPECT_EQ(Message(ParseClassifyStream(Buffer("\xff"), {}).status()), "request: not a valid ClassifyStreamRequest");
}

TEST(ParsedClassifyTest, ARequestsOwnOptionsTakeThePlaceOfTheConfigured) {
  serving::ServedModel served = Served({"a", "b"});
  served.predictions = {.activation = ScoreActivation::kSigmoid, .top_k = 1, .thresholds = {0.5f, 0.7f}};
  ParsedClassify request;
  EXPECT_EQ(request.OptionsFor(served).top_k, 1u);
  EXPECT_THAT(request.OptionsFor(served).thresholds, ElementsAre(0.5f, 0.7f));
  request.activation = ScoreActivation::kSigmoid;
  EXPECT_THAT(request.OptionsFor(served).thresholds, ElementsAre(0.5f, 0.7f));
  request.activation = ScoreActivation::kRaw;
  EXPECT_EQ(request.OptionsFor(served).activation, ScoreActivation::kRaw);
  EXPECT_THAT(request.OptionsFor(served).thresholds, IsEmpty());  // they were of sigmoid scores
  request.threshold = 3;
  request.top_k = 0;
  EXPECT_THAT(request.OptionsFor(served).thresholds, ElementsAre(3, 3));
  EXPECT_EQ(request.OptionsFor(served).top_k, 0u);
}

serving::Response Answer(std::shared_ptr<const serving::ServedModel> served, size_t num_texts) {
  const size_t num_labels = served->model->info().labels.size();
  serving::Response response;
  response.served = served;
  response.model = std::string(128, 'm');
  response.model_version = std::string(64, 'v');
  for (size_t i = 0; i <= num_texts; ++i) response.output_starts.push_back(i * num_labels);
  for (size_t i = 0; i < num_texts * num_labels; ++i) response.outputs.push_back(static_cast<float>(i % 7) - 3);
  response.num_tokens.assign(num_texts, UINT32_MAX);
  response.truncated.assign(num_texts, true);
  response.tokenize_time = absl::Nanoseconds(1);
  response.queue_time = absl::Hours(100'000);
  response.compute_time = absl::InfiniteDuration();
  return response;
}

TEST(EncodeClassifyTest, ReadsBackAsItWas) {
  const auto served = std::make_shared<serving::ServedModel>(Served({"a", "b", "c"}));
  serving::Response response = Answer(served, 2);  // logits -3 -2 -1, 0 1 2
  response.num_tokens = {3, 5};
  response.truncated = {false, true};
  ParsedClassify request;
  request.id = 7;
  request.activation = ScoreActivation::kRaw;
  request.top_k = 2;
  v1::ClassifyStreamResponse stream;
  ASSERT_TRUE(stream.ParseFromString(ToString(EncodeClassifyStreamResponse(response, request))));
  EXPECT_EQ(stream.id(), 7u);
  v1::ClassifyResponse message;
  ASSERT_TRUE(message.ParseFromString(ToString(EncodeClassifyResponse(response, request))));
  EXPECT_EQ(stream.response().SerializeAsString(), message.SerializeAsString());
  EXPECT_EQ(message.model(), response.model);
  EXPECT_EQ(message.score_mode(), v1::SCORE_MODE_RAW);
  EXPECT_EQ(message.num_tokens(), 8u);
  EXPECT_EQ(message.timing().tokenize_ns(), 1u);
  ASSERT_EQ(message.classifications_size(), 2);
  const v1::Classification& second = message.classifications(1);
  ASSERT_EQ(second.predictions_size(), 2);
  EXPECT_EQ(second.predictions(0).label(), "c");
  EXPECT_EQ(second.predictions(0).index(), 2u);
  EXPECT_EQ(second.predictions(0).score(), 2);
  EXPECT_EQ(second.predictions(1).label(), "b");
  EXPECT_EQ(second.num_tokens(), 5u);
  EXPECT_TRUE(second.truncated());
  EXPECT_THAT(second.logits(), IsEmpty());
  request.with_logits = true;
  ASSERT_TRUE(message.ParseFromString(ToString(EncodeClassifyResponse(response, request))));
  EXPECT_THAT(message.classifications(0).logits(), ElementsAre(-3, -2, -1));
}

// R17, as response_codec_test.cc has it for vectors.
TEST(EncodeClassifyTest, NoAnswerIsLargerThanItsRequestWasCheckedFor) {
  std::vector<std::string> labels;
  for (size_t i = 0; i < 50; ++i) labels.push_back(std::string(1 + i * 5, 'l'));
  for (const size_t num_labels : {1, 2, 50}) {
    const auto served = std::make_shared<serving::ServedModel>(
        Served({labels.begin(), labels.begin() + static_cast<ptrdiff_t>(num_labels)}));
    for (const size_t num_texts : {1, 2, 128}) {
      for (const size_t top_k : {0, 1, 3, 1000}) {
        for (const bool with_logits : {false, true}) {
          ParsedClassify request;
          request.request.texts.resize(num_texts);
          request.top_k = top_k;
          request.with_logits = with_logits;
          request.id = UINT64_MAX;
          const size_t size = EncodeClassifyStreamResponse(Answer(served, num_texts), request).Length();
          const absl::Status refused = CheckResponseSize(request, *served, {.max_response_bytes = size - 1});
          EXPECT_TRUE(absl::IsInvalidArgument(refused)) << num_labels << " " << num_texts << " " << top_k;
        }
      }
    }
  }
  ParsedClassify request;
  request.request.texts.resize(128);
  EXPECT_TRUE(CheckResponseSize(request, Served(labels), {}).ok());
}

}  // namespace
}  // namespace octet::rpc
