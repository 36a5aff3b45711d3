// Calls through generated stubs: what is answered, in which order, when the deadline passes, the client
// leaves or the server stops. ServerHarness checks that every call had one counted outcome.
#include "server/rpc/server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <cstring>
#include <future>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "octet/v1/text_encoder.grpc.pb.h"
#include "tei/v1/tei.grpc.pb.h"
#include "tests/server/server_harness.h"

namespace octet::rpc {
namespace {

using ::grpc::StatusCode;
using ::testing::AnyOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

v1::EmbedRequest Texts(const std::vector<std::string>& texts) {
  v1::EmbedRequest request;
  for (const std::string& text : texts) request.add_texts(text);
  request.set_normalize(false);
  return request;
}

std::vector<float> ValuesOf(const v1::Embedding& embedding) {
  std::vector<float> values(embedding.values().size() / sizeof(float));
  std::memcpy(values.data(), embedding.values().data(), embedding.values().size());
  return values;
}

class GrpcServerTest : public ServerHarness {
 protected:
  std::unique_ptr<v1::TextEncoder::Stub> Stub() { return v1::TextEncoder::NewStub(channel_); }

  // A call on a thread of its own. `context` may be null.
  std::future<grpc::Status> EmbedAsync(const std::string& text, grpc::ClientContext* context = nullptr) {
    return std::async(std::launch::async, [stub = std::shared_ptr<v1::TextEncoder::Stub>(Stub()), text, context] {
      grpc::ClientContext own;
      v1::EmbedResponse response;
      return stub->Embed(context != nullptr ? context : &own, Texts({text}), &response);
    });
  }

  // A call that is being computed until the gate opens.
  std::future<grpc::Status> OccupyWorker() {
    auto call = EmbedAsync("Gated");
    gate_.WaitForArrivals(1);
    return call;
  }

  double Dropped() const { return metrics_->expired_in_queue->Value() + metrics_->cancelled_in_queue->Value(); }
};

TEST_F(GrpcServerTest, EmbedAnswersInTheOrderOfTheTexts) {
  Start();
  grpc::ClientContext context;
  v1::EmbedResponse response;
  ASSERT_TRUE(Stub()->Embed(&context, Texts({"abc", "", "z"}), &response).ok());
  ASSERT_EQ(response.embeddings_size(), 3);
  EXPECT_THAT(ValuesOf(response.embeddings(0)), ElementsAre(3, 'a', 'c', 1));
  EXPECT_THAT(ValuesOf(response.embeddings(1)), ElementsAre(1, 0, 0, 1));
  EXPECT_THAT(ValuesOf(response.embeddings(2)), ElementsAre(1, 'z', 'z', 1));
  EXPECT_TRUE(response.embeddings(0).floats().empty());
  EXPECT_EQ(response.embeddings(0).num_tokens(), 3u);
  EXPECT_EQ(response.model(), "mini");
  EXPECT_EQ(response.model_version(), "0123456789ab");
  EXPECT_EQ(response.dimensions(), 4u);
  EXPECT_EQ(response.num_tokens(), 5u);
  EXPECT_GT(response.timing().compute_ns(), 0u);
}

TEST_F(GrpcServerTest, EmbedCutsThenNormalizesAndGivesFloats) {
  Start();
  v1::EmbedRequest request = Texts({"\x04\x03"});  // {2, 4, 3, 1}, cut to {2, 4}
  request.set_as_floats(true);
  request.set_dimensions(2);
  request.set_normalize(true);
  grpc::ClientContext context;
  v1::EmbedResponse response;
  ASSERT_TRUE(Stub()->Embed(&context, request, &response).ok());
  ASSERT_EQ(response.embeddings_size(), 1);
  EXPECT_TRUE(response.embeddings(0).values().empty());
  ASSERT_EQ(response.embeddings(0).floats_size(), 2);
  EXPECT_FLOAT_EQ(response.embeddings(0).floats(0), 1 / std::sqrt(5.0f));
  EXPECT_FLOAT_EQ(response.embeddings(0).floats(1), 2 / std::sqrt(5.0f));
}

TEST_F(GrpcServerTest, EmbedStreamAnswersAsTheyComeAndErrorsDoNotEndIt) {
  Start();
  grpc::ClientContext context;
  const auto stub = Stub();
  const auto stream = stub->EmbedStream(&context);
  const auto send = [&stream](uint64_t id, const v1::EmbedRequest& request) {
    v1::EmbedStreamRequest message;
    message.set_id(id);
    *message.mutable_request() = request;
    return stream->Write(message);
  };
  ASSERT_TRUE(send(7, Texts({"Gated"})));
  gate_.WaitForArrivals(1);
  ASSERT_TRUE(send(8, Texts({})));
  v1::EmbedStreamResponse answer;
  ASSERT_TRUE(stream->Read(&answer));  // while 7 is still being computed
  EXPECT_EQ(answer.id(), 8u);
  EXPECT_EQ(answer.error().code(), StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(answer.error().message(), "texts: empty");
  EXPECT_EQ(answer.error().reason(), "INVALID");
  v1::EmbedRequest unknown = Texts({"a"});
  unknown.set_model("made-up");
  ASSERT_TRUE(send(9, unknown));
  ASSERT_TRUE(stream->Read(&answer));
  EXPECT_EQ(answer.id(), 9u);
  EXPECT_EQ(answer.error().code(), StatusCode::NOT_FOUND);
  gate_.Open();
  ASSERT_TRUE(stream->Read(&answer));
  EXPECT_EQ(answer.id(), 7u);
  EXPECT_THAT(ValuesOf(answer.response().embeddings(0)), ElementsAre(5, 'G', 'd', 1));
  ASSERT_TRUE(stream->WritesDone());
  EXPECT_FALSE(stream->Read(&answer));
  EXPECT_TRUE(stream->Finish().ok());
}

TEST_F(GrpcServerTest, AMessageThatIsNoneEndsTheStream) {
  Start();
  RawStream stream(channel_, "octet.v1.TextEncoder/EmbedStream");
  ASSERT_TRUE(stream.Write("\xff\xff\xff\xff"));
  std::string answer;
  EXPECT_FALSE(stream.Read(&answer));
  const grpc::Status status = stream.Finish();
  EXPECT_EQ(status.error_code(), StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(status.error_message(), "request: not a valid EmbedStreamRequest");
}

TEST_F(GrpcServerTest, AStreamLongerThanItsWindowIsAnsweredWhole) {
  rpc_options_.max_stream_messages = 3;
  Start();
  constexpr uint64_t kMessages = 200;
  grpc::ClientContext context;
  const auto stub = Stub();
  const auto stream = stub->EmbedStream(&context);
  std::thread writer([&stream] {
    for (uint64_t id = 0; id < kMessages; ++id) {
      v1::EmbedStreamRequest message;
      message.set_id(id);
      *message.mutable_request() = Texts({std::string(1 + id % 50, 'a')});
      EXPECT_TRUE(stream->Write(message));
    }
    EXPECT_TRUE(stream->WritesDone());
  });
  std::vector<int> seen(kMessages, 0);
  for (v1::EmbedStreamResponse answer; stream->Read(&answer);) {
    ASSERT_LT(answer.id(), kMessages);
    ++seen[answer.id()];
    EXPECT_THAT(ValuesOf(answer.response().embeddings(0)), ElementsAre(1 + answer.id() % 50, 'a', 'a', 1));
  }
  writer.join();
  EXPECT_TRUE(stream->Finish().ok());
  EXPECT_EQ(seen, std::vector<int>(kMessages, 1));
}

TEST_F(GrpcServerTest, TeiEmbedNormalizesUnlessToldNotTo) {
  Start();
  const auto stub = ::tei::v1::Embed::NewStub(channel_);
  ::tei::v1::EmbedRequest request;
  request.set_inputs("abc");
  ::tei::v1::EmbedResponse response;
  grpc::ClientContext first, second;
  ASSERT_TRUE(stub->Embed(&first, request, &response).ok());
  float sum = 0;
  for (const float value : response.embeddings()) sum += value * value;
  EXPECT_NEAR(sum, 1, 1e-5);  // four products, each rounded to 6e-8 relative
  EXPECT_EQ(response.metadata().compute_chars(), 3u);
  EXPECT_EQ(response.metadata().compute_tokens(), 3u);
  EXPECT_GT(response.metadata().total_time_ns(), 0u);
  request.set_normalize(false);
  ASSERT_TRUE(stub->Embed(&second, request, &response).ok());
  EXPECT_THAT(response.embeddings(), ElementsAre(3, 'a', 'c', 1));
}

TEST_F(GrpcServerTest, TeiStreamAnswersInOrderThoughLaterTextsAreDoneFirst) {
  pipeline_options_.num_tokenizer_threads = 2;
  pipeline_options_.max_handed_bytes = 0;  // so that "first" holds up a tokenizer and not the worker
  serving::Gate tokenizer_gate;
  model_->on_tokenize = [&tokenizer_gate](absl::string_view text) {
    if (text == "first") tokenizer_gate.Pass();
    return absl::OkStatus();
  };
  Start();
  grpc::ClientContext context;
  const auto stub = ::tei::v1::Embed::NewStub(channel_);
  const auto stream = stub->EmbedStream(&context);
  ::tei::v1::EmbedRequest request;
  request.set_normalize(false);
  for (const char* text : {"first", "second", "third"}) {
    request.set_inputs(text);
    ASSERT_TRUE(stream->Write(request));
  }
  WaitUntil([this] { return TimesComputed('s') == 1 && TimesComputed('t') == 1; });
  tokenizer_gate.Open();
  ::tei::v1::EmbedResponse response;
  for (const char initial : {'f', 's', 't'}) {
    ASSERT_TRUE(stream->Read(&response));
    EXPECT_EQ(response.embeddings(1), initial);
  }
  ASSERT_TRUE(stream->WritesDone());
  EXPECT_TRUE(stream->Finish().ok());
}

TEST_F(GrpcServerTest, AnErrorEndsATeiStreamAfterTheAnswersBeforeIt) {
  Start();
  grpc::ClientContext context;
  const auto stub = ::tei::v1::Embed::NewStub(channel_);
  const auto stream = stub->EmbedStream(&context);
  ::tei::v1::EmbedRequest request;
  request.set_inputs("Gated");
  ASSERT_TRUE(stream->Write(request));
  gate_.WaitForArrivals(1);
  request.set_inputs(std::string(513, 'x'));
  ASSERT_TRUE(stream->Write(request));
  request.set_inputs("after");
  stream->Write(request);
  gate_.Open();
  ::tei::v1::EmbedResponse response;
  ASSERT_TRUE(stream->Read(&response));
  EXPECT_EQ(response.metadata().compute_tokens(), 5u);
  EXPECT_FALSE(stream->Read(&response));
  const grpc::Status status = stream->Finish();
  EXPECT_EQ(status.error_code(), StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), HasSubstr("more than 512 tokens, limit 512"));
}

TEST_F(GrpcServerTest, TeiTakesTheModelFromMetadata) {
  const auto other = std::make_shared<serving::FakeServable>(100);
  other->mutable_info().version = "fedcba987654";
  AddModel("mini", model_);
  AddModel("other", other);
  Start();
  const auto info = ::tei::v1::Info::NewStub(channel_);
  const auto embed = ::tei::v1::Embed::NewStub(channel_);
  ::tei::v1::InfoResponse response;
  {
    grpc::ClientContext context;
    context.AddMetadata("octet-model", "other");
    ASSERT_TRUE(info->Info(&context, {}, &response).ok());
    EXPECT_EQ(response.version(), "1.2.3");
    EXPECT_EQ(response.model_id(), "other");
    EXPECT_EQ(response.model_sha(), "fedcba987654");
    EXPECT_EQ(response.model_type(), ::tei::v1::MODEL_TYPE_EMBEDDING);
    EXPECT_EQ(response.max_input_length(), 100u);
    EXPECT_EQ(response.max_batch_tokens(), pipeline_options_.max_batch_tokens);
  }
  for (const auto& [name, code] : {std::pair("other", StatusCode::OK), std::pair("made-up", StatusCode::NOT_FOUND),
                                   std::pair("", StatusCode::INVALID_ARGUMENT)}) {  // two models, no default
    grpc::ClientContext info_context, embed_context;
    if (*name != '\0') {
      info_context.AddMetadata("octet-model", name);
      embed_context.AddMetadata("octet-model", name);
    }
    ::tei::v1::EmbedRequest request;
    request.set_inputs("abc");
    ::tei::v1::EmbedResponse answer;
    EXPECT_EQ(info->Info(&info_context, {}, &response).error_code(), code) << name;
    EXPECT_EQ(embed->Embed(&embed_context, request, &answer).error_code(), code) << name;
  }
  EXPECT_EQ(other->seen().size(), 1u);
  EXPECT_TRUE(model_->seen().empty());
}

TEST_F(GrpcServerTest, ACallWithoutADeadlineGetsTheMaximum) {
  rpc_options_.max_deadline = absl::Milliseconds(50);
  Start();
  auto gated = OccupyWorker();
  const grpc::Status status = EmbedAsync("x").get();  // returns though the worker is busy
  EXPECT_EQ(status.error_code(), StatusCode::DEADLINE_EXCEEDED);
  EXPECT_EQ(metrics_->expired_in_queue->Value(), 1);
  gate_.Open();
  gated.get();
  EXPECT_EQ(TimesComputed('x'), 0u);
}

TEST_F(GrpcServerTest, EveryMessageOfAStreamHasTheMaximumOfItsOwn) {
  rpc_options_.max_deadline = absl::Milliseconds(50);
  Start();
  grpc::ClientContext context;
  const auto stub = Stub();
  const auto stream = stub->EmbedStream(&context);
  auto gated = OccupyWorker();
  v1::EmbedStreamRequest message;
  *message.mutable_request() = Texts({"x"});
  v1::EmbedStreamResponse answer;
  for (uint64_t id = 1; id <= 2; ++id) {  // the second is sent after the first has had its whole time
    message.set_id(id);
    ASSERT_TRUE(stream->Write(message));
    ASSERT_TRUE(stream->Read(&answer));
    EXPECT_EQ(answer.id(), id);
    EXPECT_EQ(answer.error().code(), StatusCode::DEADLINE_EXCEEDED);
  }
  EXPECT_EQ(metrics_->expired_in_queue->Value(), 2);
  gate_.Open();
  gated.get();
  ASSERT_TRUE(stream->WritesDone());
  EXPECT_FALSE(stream->Read(&answer));
  EXPECT_TRUE(stream->Finish().ok());
  EXPECT_EQ(TimesComputed('x'), 0u);
}

TEST_F(GrpcServerTest, ACallWhoseOwnDeadlinePassesIsNotComputed) {
  Start();
  auto gated = OccupyWorker();
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::milliseconds(50));
  EXPECT_EQ(EmbedAsync("x", &context).get().error_code(), StatusCode::DEADLINE_EXCEEDED);
  // The client may have given up before its call reached the server: then there is nothing to drop.
  WaitUntil([this] { return Dropped() == metrics_->TotalStarted() - 1; });
  gate_.Open();
  EXPECT_TRUE(gated.get().ok());
  EXPECT_EQ(TimesComputed('x'), 0u);
}

TEST_F(GrpcServerTest, ACallCancelledInTheQueueIsNotComputed) {
  Start();
  auto gated = OccupyWorker();
  grpc::ClientContext context;
  auto call = EmbedAsync("x", &context);
  WaitUntil([this] { return metrics_->TotalStarted() == 2; });
  context.TryCancel();
  EXPECT_EQ(call.get().error_code(), StatusCode::CANCELLED);
  WaitUntil([this] { return metrics_->TotalRecorded() == 1; });  // while the worker is still busy
  EXPECT_EQ(metrics_->cancelled_in_queue->Value(), 1);
  EXPECT_THAT(metrics_->Render(), HasSubstr("code=\"CANCELLED\""));
  gate_.Open();
  EXPECT_TRUE(gated.get().ok());
  EXPECT_EQ(TimesComputed('x'), 0u);
}

TEST_F(GrpcServerTest, ACallCancelledWhileComputedHasOneOutcome) {
  Start();
  grpc::ClientContext context;
  auto call = EmbedAsync("Gated", &context);
  gate_.WaitForArrivals(1);
  context.TryCancel();
  EXPECT_EQ(call.get().error_code(), StatusCode::CANCELLED);
  gate_.Open();
  WaitUntil([this] { return metrics_->TotalRecorded() == 1; });
}

TEST_F(GrpcServerTest, AStreamCancelledWithMessagesInWorkHasOneOutcome) {
  Start();
  for (const char* method : {"octet.v1.TextEncoder/EmbedStream", "tei.v1.Embed/EmbedStream"}) {
    RawStream stream(channel_, method);
    v1::EmbedStreamRequest message;
    *message.mutable_request() = Texts({"Gated"});
    ::tei::v1::EmbedRequest tei;
    tei.set_inputs("Gated");
    ASSERT_TRUE(stream.Write(method[0] == 't' ? tei.SerializeAsString() : message.SerializeAsString()));
    gate_.WaitForArrivals(1);
    stream.Cancel();
    EXPECT_EQ(stream.Finish().error_code(), StatusCode::CANCELLED);
  }
  gate_.Open();
  WaitUntil([this] { return metrics_->TotalRecorded() == 2; });
}

TEST_F(GrpcServerTest, ManyCallsWithSomeCancelledHaveOneOutcomeEach) {
  Start();
  constexpr int kThreads = 4, kCalls = 150;
  std::vector<std::thread> clients;
  for (int t = 0; t < kThreads; ++t) {
    clients.emplace_back([this, t] {
      const auto stub = v1::TextEncoder::NewStub(Connect());
      for (int i = 0; i < kCalls; ++i) {
        grpc::ClientContext context;
        v1::EmbedResponse response;
        std::thread canceller;
        if (i % 3 == t % 3) canceller = std::thread([&context] { context.TryCancel(); });
        const grpc::Status status = stub->Embed(&context, Texts({"abc"}), &response);
        if (canceller.joinable()) canceller.join();
        EXPECT_THAT(status.error_code(), AnyOf(StatusCode::OK, StatusCode::CANCELLED));
      }
    });
  }
  for (std::thread& client : clients) client.join();
  EXPECT_GE(metrics_->TotalStarted(), kThreads * kCalls * 2 / 3);  // and TearDown: all of them recorded
}

TEST_F(GrpcServerTest, ShutdownWaitsForCallsInWorkAndTakesNoNew) {
  Start();
  auto gated = OccupyWorker();
  std::thread shutdown([this] { server_->Shutdown(absl::Hours(1)); });
  // A request without texts needs no worker: it is answered until the server refuses. One may come between the two, while gRPC takes
  // back what was posted for the method (cq_transport.cc, registration): it has its deadline.
  const auto stub = Stub();
  int num_expired = 0;
  WaitUntil([&] {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(5));
    v1::EmbedResponse response;
    const StatusCode code = stub->Embed(&context, {}, &response).error_code();
    num_expired += code == StatusCode::DEADLINE_EXCEEDED;
    return code == StatusCode::UNAVAILABLE;
  });
  EXPECT_LE(num_expired, 1);
  gate_.Open();
  EXPECT_TRUE(gated.get().ok());
  shutdown.join();
}

TEST_F(GrpcServerTest, ShutdownCancelsCallsAfterItsTimeAndWaitsForTheirAnswers) {
  Start();
  auto gated = OccupyWorker();
  grpc::ClientContext context;
  RawStream stream(channel_, "tei.v1.Embed/EmbedStream");
  ::tei::v1::EmbedRequest request;
  request.set_inputs("x");
  ASSERT_TRUE(stream.Write(request.SerializeAsString()));
  WaitUntil([this] { return metrics_->TotalStarted() == 2; });
  std::thread shutdown([this] { server_->Shutdown(absl::ZeroDuration()); });
  EXPECT_THAT(gated.get().error_code(), AnyOf(StatusCode::CANCELLED, StatusCode::UNAVAILABLE));
  EXPECT_THAT(stream.Finish().error_code(), AnyOf(StatusCode::CANCELLED, StatusCode::UNAVAILABLE));
  gate_.Open();
  shutdown.join();
  EXPECT_EQ(metrics_->TotalRecorded(), 2);
  server_->Shutdown(absl::ZeroDuration());  // again, without effect
}

}  // namespace
}  // namespace octet::rpc
