// Classification and reranking through generated stubs: octet.v1 and tei.v1, the wrong task, and a client's stream
// that is too large, too slow or given up. ServerHarness checks that every call had one counted outcome.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "octet/v1/text_encoder.grpc.pb.h"
#include "tei/v1/tei.grpc.pb.h"
#include "tests/server/server_harness.h"

namespace octet::rpc {
namespace {

namespace tei = ::tei::v1;
using ::grpc::StatusCode;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string ReasonIn(const grpc::Status& status) {
  google::rpc::Status details;
  EXPECT_TRUE(details.ParseFromString(status.error_details()));
  google::rpc::ErrorInfo info;
  for (const auto& any : details.details()) {
    if (any.UnpackTo(&info)) return info.reason();
  }
  return "";
}

// Models "classifier" (labels a, b, c, d: the fake's {tokens, first, last, 1} are its logits), "reranker" (one
// label: the number of tokens) and "embedder".
class GrpcClassifyTest : public ServerHarness {
 protected:
  GrpcClassifyTest() {
    model_->SetLabels({"a", "b", "c", "d"});
    reranker_->SetLabels({"relevant"});
  }

  void StartAll() {
    AddModel("classifier", model_);
    AddModel("reranker", reranker_);
    AddModel("embedder", embedder_);
    Start();
  }

  std::unique_ptr<v1::TextEncoder::Stub> Stub() { return v1::TextEncoder::NewStub(channel_); }

  grpc::Status Classify(const v1::ClassifyRequest& request, v1::ClassifyResponse* response) {
    grpc::ClientContext context;
    return Stub()->Classify(&context, request, response);
  }

  const std::shared_ptr<serving::FakeServable> reranker_ = std::make_shared<serving::FakeServable>();
  const std::shared_ptr<serving::FakeServable> embedder_ = std::make_shared<serving::FakeServable>();
};

v1::ClassifyRequest Inputs(const std::string& model, const std::vector<std::string>& texts) {
  v1::ClassifyRequest request;
  request.set_model(model);
  for (const std::string& text : texts) request.add_inputs()->set_text(text);
  return request;
}

TEST_F(GrpcClassifyTest, AnswersTextsAndPairsInOrder) {
  StartAll();
  v1::ClassifyRequest request = Inputs("classifier", {"ab", "z"});
  request.add_inputs()->set_text("x");
  request.mutable_inputs(2)->set_pair("yz");
  request.set_score_mode(v1::SCORE_MODE_RAW);
  request.set_with_logits(true);
  request.set_top_k(1);
  v1::ClassifyResponse response;
  const grpc::Status status = Classify(request, &response);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(response.model(), "classifier");
  EXPECT_EQ(response.num_tokens(), 6u);
  ASSERT_EQ(response.classifications_size(), 3);
  EXPECT_THAT(response.classifications(0).logits(), ElementsAre(2, 'a', 'b', 1));
  EXPECT_THAT(response.classifications(2).logits(), ElementsAre(3, 'x', 'z', 1));
  ASSERT_EQ(response.classifications(0).predictions_size(), 1);
  EXPECT_EQ(response.classifications(0).predictions(0).label(), "c");
  EXPECT_EQ(response.classifications(0).predictions(0).score(), 'b');
  EXPECT_EQ(response.classifications(1).predictions(0).label(), "b");  // as large as c, and before it
}

TEST_F(GrpcClassifyTest, AStreamAnswersByIdAndABadRequestDoesNotEndIt) {
  StartAll();
  grpc::ClientContext context;
  const auto stub = Stub();
  const auto stream = stub->ClassifyStream(&context);
  v1::ClassifyStreamRequest message;
  for (const uint64_t id : {1, 2, 3, 4}) {
    message.set_id(id);
    *message.mutable_request() =
        id == 2 ? Inputs("classifier", {}) : Inputs(id == 3 ? "embedder" : "classifier", {"abc"});
    ASSERT_TRUE(stream->Write(message));
  }
  stream->WritesDone();
  v1::ClassifyStreamResponse answer;
  std::map<uint64_t, v1::ClassifyStreamResponse> answers;
  while (stream->Read(&answer)) answers[answer.id()] = answer;
  EXPECT_TRUE(stream->Finish().ok());
  ASSERT_EQ(answers.size(), 4u);
  EXPECT_EQ(answers[1].response().classifications_size(), 1);
  EXPECT_EQ(answers[2].error().message(), "inputs: empty");
  EXPECT_EQ(answers[2].error().code(), StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(answers[3].error().code(), StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(answers[3].error().reason(), "WRONG_TASK");
  EXPECT_EQ(answers[4].response().classifications_size(), 1);
}

TEST_F(GrpcClassifyTest, AnotherTaskIsAFailedPreconditionOnOctetAndUnimplementedOnTei) {
  StartAll();
  v1::ClassifyResponse classified;
  const grpc::Status classify = Classify(Inputs("embedder", {"a"}), &classified);
  EXPECT_EQ(classify.error_code(), StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(classify.error_message(), "model: its task is embedding, this method's is classification");
  EXPECT_EQ(ReasonIn(classify), "WRONG_TASK");
  v1::EmbedRequest texts;
  texts.set_model("classifier");
  texts.add_texts("a");
  v1::EmbedResponse embedded;
  grpc::ClientContext embed_context;
  const grpc::Status embed = Stub()->Embed(&embed_context, texts, &embedded);
  EXPECT_EQ(embed.error_code(), StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(embed.error_message(), "model: its task is classification, this method's is embedding");

  const auto on_tei = [&](const char* model, auto make_stub, auto method, auto request, auto response) {
    grpc::ClientContext context;
    context.AddMetadata("octet-model", model);
    const auto stub = make_stub(channel_);
    return ((*stub).*method)(&context, request, &response);
  };
  const auto predict_stub = [](const auto& channel) { return tei::Predict::NewStub(channel); };
  const auto rerank_stub = [](const auto& channel) { return tei::Rerank::NewStub(channel); };
  const auto embed_stub = [](const auto& channel) { return tei::Embed::NewStub(channel); };
  tei::RerankRequest rerank;
  rerank.add_texts("a");
  for (const grpc::Status& status :
       {on_tei("embedder", predict_stub, &tei::Predict::Stub::Predict, tei::PredictRequest(), tei::PredictResponse()),
        on_tei("classifier", embed_stub, &tei::Embed::Stub::Embed, tei::EmbedRequest(), tei::EmbedResponse()),
        on_tei("embedder", rerank_stub, &tei::Rerank::Stub::Rerank, rerank, tei::RerankResponse()),
        on_tei("classifier", rerank_stub, &tei::Rerank::Stub::Rerank, rerank, tei::RerankResponse())}) {
    EXPECT_EQ(status.error_code(), StatusCode::UNIMPLEMENTED);
    EXPECT_EQ(ReasonIn(status), "WRONG_TASK");
  }
  EXPECT_EQ(metrics_->Rejected(serving::RejectReason::kWrongTask), 6);
  EXPECT_TRUE(model_->seen().empty());
}

TEST_F(GrpcClassifyTest, R17AnAnswerThatWouldBeTooLargeIsRefusedBeforeItIsComputed) {
  rpc_options_.max_send_message_bytes = 1024;
  StartAll();
  v1::ClassifyResponse response;
  const grpc::Status status = Classify(Inputs("classifier", std::vector<std::string>(20, "a")), &response);
  EXPECT_EQ(status.error_code(), StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), HasSubstr("response: "));
  EXPECT_TRUE(model_->seen().empty());
  v1::ClassifyRequest one = Inputs("classifier", {"a"});
  EXPECT_TRUE(Classify(one, &response).ok());
}

TEST_F(GrpcClassifyTest, ConfiguredPredictionsAreTheDefault) {
  metrics_->RegisterModel({"topics", "0123456789ab", "f32", "scalar", absl::Seconds(1)});
  ASSERT_TRUE(repository_
                  .Add({.name = "topics",
                        .model = model_,
                        .load_time = absl::Seconds(1),
                        .predictions = {.activation = model::ScoreActivation::kRaw, .thresholds = {9, 9, 9, 1}}})
                  .ok());
  Start();
  v1::ClassifyResponse response;
  ASSERT_TRUE(Classify(Inputs("topics", {"ab"}), &response).ok());  // 2, 'a', 'b', 1
  EXPECT_EQ(response.score_mode(), v1::SCORE_MODE_RAW);
  EXPECT_EQ(response.classifications(0).predictions_size(), 3);
  v1::ClassifyRequest request = Inputs("topics", {"ab"});
  request.set_threshold(97.5f);
  ASSERT_TRUE(Classify(request, &response).ok());
  EXPECT_EQ(response.classifications(0).predictions_size(), 1);
}

TEST_F(GrpcClassifyTest, TeiPredictsAloneInPairsAndInOrderedStreams) {
  StartAll();
  const auto stub = tei::Predict::NewStub(channel_);
  tei::PredictPairRequest pair;
  pair.add_inputs("x");
  pair.add_inputs("yz");
  pair.set_raw_scores(true);
  {
    grpc::ClientContext context;
    context.AddMetadata("octet-model", "classifier");
    tei::PredictResponse response;
    ASSERT_TRUE(stub->PredictPair(&context, pair, &response).ok());
    ASSERT_EQ(response.predictions_size(), 4);
    EXPECT_EQ(response.predictions(0).label(), "c");
    EXPECT_EQ(response.predictions(0).score(), 'z');
    EXPECT_EQ(response.metadata().compute_chars(), 3u);
    EXPECT_EQ(response.metadata().compute_tokens(), 3u);
  }
  grpc::ClientContext context;
  context.AddMetadata("octet-model", "reranker");
  const auto stream = stub->PredictStream(&context);
  tei::PredictRequest request;
  for (size_t i = 1; i <= 20; ++i) {
    request.set_inputs(std::string(i % 2 == 0 ? 400 + i : i, 'x'));
    request.set_raw_scores(true);
    ASSERT_TRUE(stream->Write(request));
  }
  stream->WritesDone();
  tei::PredictResponse response;
  for (size_t i = 1; i <= 20; ++i) {
    ASSERT_TRUE(stream->Read(&response));
    EXPECT_EQ(response.predictions(0).score(), i % 2 == 0 ? 400 + i : i);
  }
  EXPECT_TRUE(stream->Finish().ok());
}

TEST_F(GrpcClassifyTest, TeiInfoSaysWhatTheModelIs) {
  StartAll();
  const auto stub = tei::Info::NewStub(channel_);
  for (const auto& [model, type] :
       {std::pair("embedder", tei::MODEL_TYPE_EMBEDDING), std::pair("classifier", tei::MODEL_TYPE_CLASSIFIER),
        std::pair("reranker", tei::MODEL_TYPE_RERANKER)}) {
    grpc::ClientContext context;
    context.AddMetadata("octet-model", model);
    tei::InfoResponse info;
    ASSERT_TRUE(stub->Info(&context, {}, &info).ok());
    EXPECT_EQ(info.model_type(), type) << model;
  }
}

// Rerank

class GrpcRerankTest : public GrpcClassifyTest {
 protected:
  GrpcRerankTest() { model_->SetLabels({"relevant"}); }

  std::unique_ptr<tei::Rerank::Stub> Stub() { return tei::Rerank::NewStub(channel_); }
};

tei::RerankStreamRequest Message(const std::string& text) {
  tei::RerankStreamRequest message;
  message.set_query("q");
  message.set_text(text);
  message.set_return_text(true);
  return message;
}

TEST_F(GrpcRerankTest, RanksTexts) {
  Start();
  tei::RerankRequest request;
  request.set_query("q");
  for (const char* text : {"ab", "a", "abc"}) request.add_texts(text);
  grpc::ClientContext context;
  tei::RerankResponse response;
  ASSERT_TRUE(Stub()->Rerank(&context, request, &response).ok());
  ASSERT_EQ(response.ranks_size(), 3);
  EXPECT_EQ(response.ranks(0).index(), 2u);
  EXPECT_EQ(response.ranks(2).index(), 1u);
  EXPECT_FLOAT_EQ(response.ranks(2).score(), static_cast<float>(1 / (1 + std::exp(-2.0))));  // two tokens
  EXPECT_FALSE(response.ranks(0).has_text());
  EXPECT_EQ(model_->seen().back().type_ids, (std::vector<int32_t>{0, 1, 1, 0, 1, 0, 1, 1, 1}));
}

TEST_F(GrpcRerankTest, AStreamOfTextsHasTheSameAnswer) {
  Start();
  const auto stub = Stub();
  grpc::ClientContext context;
  tei::RerankResponse response;
  const auto writer = stub->RerankStream(&context, &response);
  for (const char* text : {"ab", "a", "abc"}) ASSERT_TRUE(writer->Write(Message(text)));
  ASSERT_TRUE(writer->WritesDone());
  const grpc::Status status = writer->Finish();
  ASSERT_TRUE(status.ok()) << status.error_message();
  ASSERT_EQ(response.ranks_size(), 3);
  EXPECT_EQ(response.ranks(0).index(), 2u);
  EXPECT_EQ(response.ranks(0).text(), "abc");
  EXPECT_EQ(response.ranks(1).text(), "ab");
}

TEST_F(GrpcRerankTest, ManyStreamsAtOnceAreAllAnswered) {
  rpc_options_.posted_calls = 2;  // so that calls are posted anew
  Start();
  std::vector<std::thread> clients;
  for (int i = 0; i < 4; ++i) {
    clients.emplace_back([stub = std::shared_ptr<tei::Rerank::Stub>(Stub())] {
      for (int repeat = 0; repeat < 25; ++repeat) {
        grpc::ClientContext context;
        tei::RerankResponse response;
        const auto writer = stub->RerankStream(&context, &response);
        for (int n = 0; n <= repeat; ++n) ASSERT_TRUE(writer->Write(Message("a")));
        writer->WritesDone();
        EXPECT_TRUE(writer->Finish().ok());
        EXPECT_EQ(response.ranks_size(), repeat + 1);
      }
    });
  }
  for (std::thread& client : clients) client.join();
}

TEST_F(GrpcRerankTest, AStreamWithoutMessagesIsRefused) {
  Start();
  const auto stub = Stub();
  grpc::ClientContext context;
  tei::RerankResponse response;
  const auto writer = stub->RerankStream(&context, &response);
  writer->WritesDone();
  const grpc::Status status = writer->Finish();
  EXPECT_EQ(status.error_code(), StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(status.error_message(), "request: no message on the stream");
}

// What a stream ends with that never stops of its own accord.
grpc::Status WriteUntilRefused(tei::Rerank::Stub& stub, const tei::RerankStreamRequest& message) {
  grpc::ClientContext context;
  tei::RerankResponse response;
  const auto writer = stub.RerankStream(&context, &response);
  while (writer->Write(message)) {
  }
  return writer->Finish();
}

TEST_F(GrpcRerankTest, AStreamOfTooManyMessagesEndsBeforeTheLast) {
  rpc_options_.max_client_stream_messages = 3;
  Start();
  const grpc::Status status = WriteUntilRefused(*Stub(), Message("a"));
  EXPECT_EQ(status.error_code(), StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(status.error_message(), "request: more than 3 messages");
  EXPECT_EQ(ReasonIn(status), "INVALID");
  EXPECT_EQ(metrics_->Rejected(serving::RejectReason::kInvalid), 1);
}

TEST_F(GrpcRerankTest, AStreamOfTooManyBytesEndsBeforeTheLast) {
  rpc_options_.max_client_stream_bytes = 1000;
  Start();
  const grpc::Status status = WriteUntilRefused(*Stub(), Message(std::string(300, 'x')));
  EXPECT_EQ(status.error_code(), StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(status.error_message(), "request: more than 1000 bytes of messages");
}

TEST_F(GrpcRerankTest, AStreamThatNeverEndsIsAnsweredAtTheMaximumDeadline) {
  rpc_options_.max_deadline = absl::Milliseconds(50);
  Start();
  const auto stub = Stub();
  grpc::ClientContext context;
  tei::RerankResponse response;
  const auto writer = stub->RerankStream(&context, &response);
  ASSERT_TRUE(writer->Write(Message("a")));
  const grpc::Status status = writer->Finish();  // without WritesDone
  EXPECT_EQ(status.error_code(), StatusCode::DEADLINE_EXCEEDED);
  EXPECT_EQ(status.error_message(), "request: deadline passed before the last message");
  EXPECT_EQ(metrics_->Rejected(serving::RejectReason::kDeadline), 1);
  EXPECT_TRUE(model_->seen().empty());
}

TEST_F(GrpcRerankTest, AStreamThatTheClientGivesUpIsNotComputed) {
  Start();
  const auto stub = Stub();
  for (const bool half_closed : {false, true}) {
    grpc::ClientContext context;
    tei::RerankResponse response;
    const auto writer = stub->RerankStream(&context, &response);
    ASSERT_TRUE(writer->Write(Message("Gone")));
    if (half_closed) writer->WritesDone();
    context.TryCancel();
    EXPECT_EQ(writer->Finish().error_code(), StatusCode::CANCELLED);
  }
  WaitUntil([&] { return metrics_->TotalStarted() == metrics_->TotalRecorded() && metrics_->TotalStarted() == 2; });
}

TEST_F(GrpcRerankTest, ShutdownEndsAnOpenStream) {
  Start();
  const auto stub = Stub();
  grpc::ClientContext context;
  tei::RerankResponse response;
  const auto writer = stub->RerankStream(&context, &response);
  ASSERT_TRUE(writer->Write(Message("a")));
  WaitUntil([&] { return metrics_->TotalStarted() == 1; });
  server_->Shutdown(absl::ZeroDuration());
  EXPECT_FALSE(writer->Finish().ok());
}

}  // namespace
}  // namespace octet::rpc
