// inference.GRPCInferenceService over a connection, through generated stubs. ServerHarness checks that every call had
// one counted outcome. That Triton's own client agrees is for tests/e2e/test_open_inference.py.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "inference/inference.grpc.pb.h"
#include "tests/server/inference/infer_bytes.h"
#include "tests/server/server_harness.h"

namespace octet::rpc {
namespace {

namespace oip = ::inference;
using ::grpc::StatusCode;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr char kInfer[] = "inference.GRPCInferenceService/ModelInfer";

// Models "embedder" and "classifier" (labels a and b; logits {tokens, first id}).
// A call that is on its way while the test does something else.
class PendingCall {
 public:
  PendingCall(oip::GRPCInferenceService::Stub* stub, const ModelInferRequest& request)
      : call_(stub->AsyncModelInfer(&context_, request, &queue_)) {
    call_->Finish(&response_, &status_, nullptr);
  }

  // Until it has ended.
  grpc::Status Wait() {
    void* tag;
    bool ok;
    EXPECT_TRUE(queue_.Next(&tag, &ok));
    return status_;
  }

 private:
  grpc::ClientContext context_;
  grpc::CompletionQueue queue_;
  oip::ModelInferResponse response_;
  grpc::Status status_;
  const std::unique_ptr<grpc::ClientAsyncResponseReader<oip::ModelInferResponse>> call_;
};

class GrpcInferenceTest : public ServerHarness {
 protected:
  void StartAll() {
    classifier_->SetLabels({"a", "b"});
    AddModel("embedder", model_);
    AddModel("classifier", classifier_);
    Start();
    stub_ = oip::GRPCInferenceService::NewStub(channel_);
  }

  grpc::Status Infer(const ModelInferRequest& request, oip::ModelInferResponse* response) {
    grpc::ClientContext context;
    return stub_->ModelInfer(&context, request, response);
  }

  oip::ModelStatistics Statistics(const std::string& model) {
    grpc::ClientContext context;
    oip::ModelStatisticsRequest request;
    oip::ModelStatisticsResponse response;
    request.set_name(model);
    EXPECT_TRUE(stub_->ModelStatistics(&context, request, &response).ok());
    EXPECT_EQ(response.model_stats_size(), 1);
    return response.model_stats(0);
  }

  void TearDown() override {
    stub_ = nullptr;
    ServerHarness::TearDown();
  }

  const std::shared_ptr<serving::FakeServable> classifier_ = std::make_shared<serving::FakeServable>();
  std::unique_ptr<oip::GRPCInferenceService::Stub> stub_;
};

ModelInferRequest TextRequest(const std::string& model, const std::vector<std::string>& texts) {
  ModelInferRequest request;
  request.set_model_name(model);
  AddTexts("text", texts, &request);
  return request;
}

TEST_F(GrpcInferenceTest, AnswersTextsAndIdsAlike) {
  StartAll();
  ModelInferRequest texts = TextRequest("embedder", {"abc", "z"});
  AddParameter("normalize", &texts)->set_bool_param(false);
  ModelInferRequest ids;
  ids.set_model_name("embedder");
  ids.set_id("x");
  *ids.mutable_parameters() = texts.parameters();
  AddIds("input_ids", {2, 3}, {'a', 'b', 'c', 'z', 0, 0}, &ids);
  AddIds("attention_mask", {2, 3}, {1, 1, 1, 1, 0, 0}, &ids);
  oip::ModelInferResponse of_texts, of_ids;
  ASSERT_TRUE(Infer(texts, &of_texts).ok());
  ASSERT_TRUE(Infer(ids, &of_ids).ok());
  EXPECT_THAT(of_texts.outputs(0).contents().fp32_contents(), ElementsAre(3, 'a', 'c', 1, 1, 'z', 'z', 1));
  EXPECT_EQ(of_ids.outputs(0).SerializeAsString(), of_texts.outputs(0).SerializeAsString());
  EXPECT_EQ(of_ids.id(), "x");
  EXPECT_EQ(of_ids.model_name(), "embedder");
}

TEST_F(GrpcInferenceTest, AnswersWithHiddenStatesOfItsOwnTokens) {
  pipeline_options_.max_batch_texts = 2;  // the call's three rows are in two batches
  StartAll();
  ModelInferRequest request;
  request.set_model_name("classifier");
  AddIds("input_ids", {3, 2}, {7, 8, 9, 0, 5, 6}, &request);
  AddIds("attention_mask", {3, 2}, {1, 1, 1, 0, 1, 1}, &request);
  request.add_outputs()->set_name("last_hidden_state");
  oip::ModelInferResponse response;
  ASSERT_TRUE(Infer(request, &response).ok());
  ASSERT_EQ(response.outputs_size(), 1);
  EXPECT_THAT(response.outputs(0).shape(), ElementsAre(3, 2, 4));
  EXPECT_THAT(response.outputs(0).contents().fp32_contents(),
              ElementsAre(7, 7, 7, 7, 8, 8, 8, 8, 9, 9, 9, 9, 0, 0, 0, 0, 5, 5, 5, 5, 6, 6, 6, 6));
}

TEST_F(GrpcInferenceTest, AnswersWithLogitsAndLabels) {
  StartAll();
  oip::ModelInferResponse response;
  ASSERT_TRUE(Infer(TextRequest("classifier", {"\x02\x02\x02", "z"}), &response).ok());
  ASSERT_EQ(response.outputs_size(), 2);
  EXPECT_THAT(response.outputs(0).contents().fp32_contents(), ElementsAre(3, 2, 1, 'z'));
  EXPECT_THAT(response.outputs(1).contents().bytes_contents(), ElementsAre("a", "b"));
}

TEST_F(GrpcInferenceTest, RefusesWithTheCodesOfAllServices) {
  StartAll();
  oip::ModelInferResponse response;
  EXPECT_EQ(Infer(TextRequest("nothing", {"a"}), &response).error_code(), StatusCode::NOT_FOUND);
  EXPECT_EQ(Infer(TextRequest("", {"a"}), &response).error_code(), StatusCode::INVALID_ARGUMENT);  // two models
  EXPECT_EQ(CallRaw(kInfer, "\xff\xff").status.error_message(), "request: not a valid ModelInferRequest");
  const auto refusal = [&](const std::vector<int64_t>& ids, const std::vector<int64_t>& types) {
    ModelInferRequest request;
    request.set_model_name("embedder");
    AddIds("input_ids", {1, 2}, ids, &request);
    AddIds("token_type_ids", {1, 2}, types, &request);
    const grpc::Status status = Infer(request, &response);
    EXPECT_EQ(status.error_code(), StatusCode::INVALID_ARGUMENT);
    return status.error_message();
  };
  EXPECT_EQ(refusal({1, 256}, {0, 0}), "input_ids[0]: token id 256, the vocabulary has 256");
  EXPECT_EQ(refusal({-1, 1}, {0, 0}), "input_ids[0]: token id -1, the vocabulary has 256");
  EXPECT_EQ(refusal({1, 1}, {0, 2}), "input_ids[0]: token type id 2, the model has 2");
  ModelInferRequest empty;
  empty.set_model_name("embedder");
  AddIds("input_ids", {1, 1}, {1}, &empty);
  AddIds("attention_mask", {1, 1}, {0}, &empty);
  EXPECT_EQ(Infer(empty, &response).error_message(), "input_ids[0]: no tokens, at least 1 is needed");
  EXPECT_THAT(model_->seen(), IsEmpty());
}

TEST_F(GrpcInferenceTest, ATimeoutEndsACallThatWaits) {
  StartAll();
  // The worker is held by a call of the default deadline.
  ModelInferRequest slow = TextRequest("embedder", {"G"});
  oip::ModelInferResponse response;
  PendingCall pending(stub_.get(), slow);
  gate_.WaitForArrivals(1);
  ModelInferRequest request = TextRequest("embedder", {"a"});
  AddParameter("timeout", &request)->set_int64_param(1);
  EXPECT_EQ(Infer(request, &response).error_code(), StatusCode::DEADLINE_EXCEEDED);
  gate_.Open();
  EXPECT_TRUE(pending.Wait().ok());
}

TEST_F(GrpcInferenceTest, HiddenStatesBeyondTheLimitAreRefusedWhileOthersAreInWork) {
  pipeline_options_.max_hidden_state_bytes = 32;  // two tokens of four values
  StartAll();
  ModelInferRequest slow = TextRequest("embedder", {"GG"});
  slow.add_outputs()->set_name("last_hidden_state");
  oip::ModelInferResponse response;
  PendingCall pending(stub_.get(), slow);
  gate_.WaitForArrivals(1);
  ModelInferRequest request = TextRequest("embedder", {"a"});
  request.add_outputs()->set_name("last_hidden_state");
  EXPECT_EQ(Infer(request, &response).error_code(), StatusCode::RESOURCE_EXHAUSTED);
  gate_.Open();
  EXPECT_TRUE(pending.Wait().ok());
  WaitUntil([&] { return Infer(request, &response).ok(); });  // the answer is out a moment before its room is free
}

TEST_F(GrpcInferenceTest, AStreamAnswersInOrderAndOutlivesABadRequest) {
  StartAll();
  grpc::ClientContext context;
  const auto stream = stub_->ModelStreamInfer(&context);
  const std::vector<std::string> models = {"embedder", "nothing", "classifier"};
  for (const std::string& model : models) {
    ModelInferRequest request = TextRequest(model, {"a"});
    request.set_id(model);
    ASSERT_TRUE(stream->Write(request));
  }
  stream->WritesDone();
  for (const std::string& model : models) {
    oip::ModelStreamInferResponse answer;
    ASSERT_TRUE(stream->Read(&answer));
    EXPECT_EQ(answer.infer_response().id(), model);
    EXPECT_EQ(answer.error_message(), model == "nothing" ? "model: not found" : "");
    EXPECT_EQ(answer.infer_response().outputs_size(), model == "embedder" ? 1 : model == "classifier" ? 2 : 0);
  }
  oip::ModelStreamInferResponse none;
  EXPECT_FALSE(stream->Read(&none));
  EXPECT_TRUE(stream->Finish().ok());
}

TEST_F(GrpcInferenceTest, TellsWhatItIs) {
  StartAll();
  const auto ask = [&](auto method, const auto& request, auto* response) {
    grpc::ClientContext context;
    return (stub_.get()->*method)(&context, request, response);
  };
  using Stub = oip::GRPCInferenceService::Stub;
  oip::ServerLiveResponse live;
  oip::ServerReadyResponse ready;
  EXPECT_TRUE(ask(&Stub::ServerLive, oip::ServerLiveRequest(), &live).ok() && live.live());
  EXPECT_TRUE(ask(&Stub::ServerReady, oip::ServerReadyRequest(), &ready).ok() && ready.ready());
  oip::ServerMetadataResponse server;
  ASSERT_TRUE(ask(&Stub::ServerMetadata, oip::ServerMetadataRequest(), &server).ok());
  EXPECT_EQ(server.name(), "octet");
  EXPECT_EQ(server.version(), "1.2.3");
  oip::ModelReadyRequest of_model;
  oip::ModelReadyResponse model_ready;
  of_model.set_name("embedder");
  EXPECT_TRUE(ask(&Stub::ModelReady, of_model, &model_ready).ok() && model_ready.ready());
  of_model.set_name("nothing");
  EXPECT_TRUE(ask(&Stub::ModelReady, of_model, &model_ready).ok() && !model_ready.ready());
  oip::RepositoryIndexResponse index;
  ASSERT_TRUE(ask(&Stub::RepositoryIndex, oip::RepositoryIndexRequest(), &index).ok());
  ASSERT_EQ(index.models_size(), 2);
  EXPECT_EQ(index.models(0).name(), "classifier");
  EXPECT_EQ(index.models(0).state(), "READY");

  server_->SetServing(false);
  EXPECT_TRUE(ask(&Stub::ServerReady, oip::ServerReadyRequest(), &ready).ok() && !ready.ready());
  of_model.set_name("embedder");
  EXPECT_TRUE(ask(&Stub::ModelReady, of_model, &model_ready).ok() && !model_ready.ready());
  ASSERT_TRUE(ask(&Stub::RepositoryIndex, oip::RepositoryIndexRequest(), &index).ok());
  EXPECT_EQ(index.models(1).state(), "UNAVAILABLE");
  oip::RepositoryIndexRequest only_ready;
  only_ready.set_ready(true);
  ASSERT_TRUE(ask(&Stub::RepositoryIndex, only_ready, &index).ok());
  EXPECT_EQ(index.models_size(), 0);
}

TEST_F(GrpcInferenceTest, DescribesTheTensorsOfItsModels) {
  StartAll();
  oip::ModelMetadataRequest request;
  oip::ModelMetadataResponse metadata;
  grpc::ClientContext context, config_context, unknown_context;
  request.set_name("classifier");
  ASSERT_TRUE(stub_->ModelMetadata(&context, request, &metadata).ok());
  EXPECT_THAT(metadata.versions(), ElementsAre("1"));
  std::vector<std::string> inputs, outputs;
  for (const auto& input : metadata.inputs()) inputs.push_back(input.name() + ":" + input.datatype());
  for (const auto& output : metadata.outputs()) outputs.push_back(output.name() + ":" + output.datatype());
  EXPECT_THAT(inputs, ElementsAre("text:BYTES", "text_pair:BYTES", "input_ids:INT64", "attention_mask:INT64",
                                  "token_type_ids:INT64"));
  EXPECT_THAT(outputs, ElementsAre("logits:FP32", "label:BYTES", "last_hidden_state:FP32"));
  EXPECT_THAT(metadata.outputs(0).shape(), ElementsAre(-1, 2));
  EXPECT_THAT(metadata.outputs(2).shape(), ElementsAre(-1, -1, 4));

  oip::ModelConfigRequest config_request;
  oip::ModelConfigResponse response;
  config_request.set_name("embedder");
  ASSERT_TRUE(stub_->ModelConfig(&config_context, config_request, &response).ok());
  EXPECT_EQ(response.config().max_batch_size(), 128);
  EXPECT_TRUE(response.config().has_dynamic_batching());
  EXPECT_EQ(response.config().input(0).data_type(), oip::TYPE_STRING);
  EXPECT_THAT(response.config().input(0).dims(), ElementsAre(1));
  EXPECT_THAT(response.config().input(1).dims(), ElementsAre(-1));
  EXPECT_THAT(response.config().output(0).dims(), ElementsAre(4));
  config_request.set_version("2");
  EXPECT_EQ(stub_->ModelConfig(&unknown_context, config_request, &response).error_code(), StatusCode::NOT_FOUND);
}

TEST_F(GrpcInferenceTest, StatisticsCountWhatWasComputedAndNothingElse) {
  StartAll();
  oip::ModelInferResponse response;
  ASSERT_TRUE(Infer(TextRequest("embedder", {"a", "b"}), &response).ok());
  ASSERT_TRUE(Infer(TextRequest("embedder", {"c"}), &response).ok());
  ModelInferRequest too_long = TextRequest("embedder", {std::string(600, 'x')});
  EXPECT_EQ(Infer(too_long, &response).error_code(), StatusCode::INVALID_ARGUMENT);
  grpc::ClientContext context;
  oip::ModelMetadataRequest of_model;
  oip::ModelMetadataResponse metadata;
  of_model.set_name("embedder");
  ASSERT_TRUE(stub_->ModelMetadata(&context, of_model, &metadata).ok());
  // A call is counted when its answer has left.
  WaitUntil([&] { return Statistics("embedder").inference_stats().fail().count() == 1; });
  const oip::ModelStatistics statistics = Statistics("embedder");
  EXPECT_EQ(statistics.version(), "1");
  EXPECT_EQ(statistics.inference_count(), 3u);
  EXPECT_EQ(statistics.execution_count(), 2u);
  const oip::InferStatistics& calls = statistics.inference_stats();
  EXPECT_EQ(calls.success().count(), 2u);
  const uint64_t parts_ns = calls.compute_input().ns() + calls.queue().ns() + calls.compute_infer().ns();
  EXPECT_NEAR(static_cast<double>(calls.success().ns()), static_cast<double>(parts_ns), 3);  // each is cut to whole ns
  EXPECT_GT(calls.compute_infer().ns(), 0u);
  EXPECT_EQ(calls.compute_infer().count(), 2u);
  EXPECT_GT(calls.fail().ns(), 0u);
  EXPECT_EQ(Statistics("classifier").inference_count(), 0u);
}

}  // namespace
}  // namespace octet::rpc
