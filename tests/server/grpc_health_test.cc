// What probes and tools ask of the server: health by name, reflection, the port.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "grpc/health/v1/health.pb.h"
#include "tests/server/server_harness.h"

namespace octet::rpc {
namespace {

using ::grpc::health::v1::HealthCheckRequest;
using ::grpc::health::v1::HealthCheckResponse;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

std::string HealthRequest(const std::string& name) {
  HealthCheckRequest request;
  request.set_service(name);
  return request.SerializeAsString();
}

HealthCheckResponse::ServingStatus StatusIn(const std::string& bytes) {
  HealthCheckResponse response;
  EXPECT_TRUE(response.ParseFromString(bytes));
  return response.status();
}

class GrpcHealthTest : public ServerHarness {
 protected:
  HealthCheckResponse::ServingStatus Check(const std::string& name) {
    const RawAnswer answer = CallRaw("grpc.health.v1.Health/Check", HealthRequest(name));
    EXPECT_TRUE(answer.status.ok()) << name << ": " << answer.status.error_message();
    return StatusIn(answer.bytes);
  }
};

// Reads until the status is `expected`. A watch may skip what lasted only a moment, never the last.
void ReadUntil(RawStream* watch, HealthCheckResponse::ServingStatus expected) {
  std::string bytes;
  do {
    ASSERT_TRUE(watch->Read(&bytes)) << "the watch ended before status " << expected;
  } while (StatusIn(bytes) != expected);
}

TEST_F(GrpcHealthTest, EveryNameButLivenessFollowsServing) {
  AddModel("mini", model_);
  AddModel("other", std::make_shared<serving::FakeServable>());
  Start();
  const std::vector<std::string> names = {
      "octet.v1.TextEncoder", "inference.GRPCInferenceService", "tei.v1.Info", "tei.v1.Embed", "", "mini", "other"};
  for (const bool serving : {true, false, true}) {
    server_->SetServing(serving);
    for (const std::string& name : names) {
      EXPECT_EQ(Check(name), serving ? HealthCheckResponse::SERVING : HealthCheckResponse::NOT_SERVING) << name;
    }
    EXPECT_EQ(Check("liveness"), HealthCheckResponse::SERVING);
  }
}

TEST_F(GrpcHealthTest, AServiceWithoutAModelForItIsNotServing) {
  const auto classifier = std::make_shared<serving::FakeServable>();
  classifier->SetLabels({"a", "b"});
  AddModel("classifier", classifier);
  Start();
  const auto serving = HealthCheckResponse::SERVING, not_serving = HealthCheckResponse::NOT_SERVING;
  for (const auto& [name, status] :
       {std::pair("octet.v1.TextEncoder", serving), std::pair("inference.GRPCInferenceService", serving),
        std::pair("tei.v1.Info", serving), std::pair("tei.v1.Predict", serving), std::pair("tei.v1.Embed", not_serving),
        std::pair("tei.v1.Rerank", not_serving), std::pair("", serving), std::pair("classifier", serving)}) {
    EXPECT_EQ(Check(name), status) << name;
  }
  const auto reranker = std::make_shared<serving::FakeServable>();
  reranker->SetLabels({"a"});
  AddModel("reranker", reranker);
  server_->SetServing(true);
  EXPECT_EQ(Check("tei.v1.Rerank"), serving);
  EXPECT_EQ(Check("tei.v1.Embed"), not_serving);
}

TEST_F(GrpcHealthTest, IsNotServingUntilToldTo) {
  Start();
  RpcOptions options = rpc_options_;
  auto fresh = CreateServer(options);
  ASSERT_TRUE(fresh.ok()) << fresh.status();
  EXPECT_FALSE((*fresh)->serving());
  channel_ = grpc::CreateChannel(absl::StrCat("127.0.0.1:", (*fresh)->port()), grpc::InsecureChannelCredentials());
  EXPECT_EQ(Check(""), HealthCheckResponse::NOT_SERVING);
  EXPECT_EQ(Check("liveness"), HealthCheckResponse::SERVING);
}

TEST_F(GrpcHealthTest, UnknownNameIsNotFound) {
  Start();
  const RawAnswer answer = CallRaw("grpc.health.v1.Health/Check", HealthRequest("no.such.Service"));
  EXPECT_EQ(answer.status.error_code(), grpc::StatusCode::NOT_FOUND);
}

TEST_F(GrpcHealthTest, WatchSeesEveryChangeThatLasts) {
  Start();
  RawStream watch(channel_, "grpc.health.v1.Health/Watch");
  ASSERT_TRUE(watch.Write(HealthRequest("mini")));
  ASSERT_TRUE(watch.WritesDone());
  ReadUntil(&watch, HealthCheckResponse::SERVING);
  server_->SetServing(false);
  ReadUntil(&watch, HealthCheckResponse::NOT_SERVING);
  server_->SetServing(true);
  ReadUntil(&watch, HealthCheckResponse::SERVING);
  watch.Cancel();
  EXPECT_EQ(watch.Finish().error_code(), grpc::StatusCode::CANCELLED);
}

TEST_F(GrpcHealthTest, WatchOfAnUnknownNameSaysSo) {
  Start();
  RawStream watch(channel_, "grpc.health.v1.Health/Watch");
  ASSERT_TRUE(watch.Write(HealthRequest("no.such.Service")));
  ReadUntil(&watch, HealthCheckResponse::SERVICE_UNKNOWN);
  watch.Cancel();
  watch.Finish();
}

TEST_F(GrpcHealthTest, WatchesEndWithTheServerAfterTheLastNews) {
  Start();
  RawStream watch(channel_, "grpc.health.v1.Health/Watch");
  ASSERT_TRUE(watch.Write(HealthRequest("")));
  ReadUntil(&watch, HealthCheckResponse::SERVING);
  server_->SetServing(false);
  std::thread shutdown([this] { server_->Shutdown(absl::InfiniteDuration()); });
  ReadUntil(&watch, HealthCheckResponse::NOT_SERVING);
  std::string bytes;
  EXPECT_FALSE(watch.Read(&bytes));
  EXPECT_EQ(watch.Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
  shutdown.join();  // has waited for nothing else
}

TEST_F(GrpcHealthTest, WatchesThatGoAwayLeaveTheOthersToBeTold) {
  Start();
  RawStream stays(channel_, "grpc.health.v1.Health/Watch");
  ASSERT_TRUE(stays.Write(HealthRequest("mini")));
  for (int i = 0; i < 50; ++i) {
    RawStream goes(channel_, "grpc.health.v1.Health/Watch");
    ASSERT_TRUE(goes.Write(HealthRequest("mini")));
    if (i % 2 == 0) ReadUntil(&goes, HealthCheckResponse::SERVING);
    goes.Cancel();
    EXPECT_EQ(goes.Finish().error_code(), grpc::StatusCode::CANCELLED);
  }
  ReadUntil(&stays, HealthCheckResponse::SERVING);
  server_->SetServing(false);
  ReadUntil(&stays, HealthCheckResponse::NOT_SERVING);
  stays.Cancel();
  stays.Finish();
}

TEST_F(GrpcHealthTest, AMessageThatIsNotARequestIsRefused) {
  Start();
  const std::string bad = "\x0a\xff";
  EXPECT_EQ(CallRaw("grpc.health.v1.Health/Check", bad).status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  RawStream watch(channel_, "grpc.health.v1.Health/Watch");
  ASSERT_TRUE(watch.Write(bad));
  std::string bytes;
  EXPECT_FALSE(watch.Read(&bytes));
  EXPECT_EQ(watch.Finish().error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(Check(""), HealthCheckResponse::SERVING);
}

TEST_F(GrpcHealthTest, LivenessFollowsTheThreads) {
  pipeline_options_.busy_limit = absl::Milliseconds(20);
  Start();
  RawStream watch(channel_, "grpc.health.v1.Health/Watch");
  ASSERT_TRUE(watch.Write(HealthRequest("liveness")));
  serving::Answers answers;
  serving::Request request;
  request.texts = {"Gated"};
  pipeline_->Submit(std::move(request), answers.Next());
  ReadUntil(&watch, HealthCheckResponse::NOT_SERVING);
  EXPECT_EQ(Check(""), HealthCheckResponse::SERVING);  // readiness and liveness are kept apart
  gate_.Open();
  ReadUntil(&watch, HealthCheckResponse::SERVING);
  EXPECT_TRUE(answers.Get(0).ok());
  watch.Cancel();
  watch.Finish();
}

// Of grpc.reflection.v1alpha.ServerReflectionRequest: file_containing_symbol = 4, list_services = 7.
std::string ReflectionRequest(int field, const std::string& value) {
  return std::string(1, static_cast<char>(field << 3 | 2)) + static_cast<char>(value.size()) + value;
}
constexpr char kReflection[] = "grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo";

TEST_F(GrpcHealthTest, ReflectionListsAndDescribesTheServices) {
  Start();
  RawStream stream(channel_, kReflection);
  std::string answer;
  ASSERT_TRUE(stream.Write(ReflectionRequest(7, "*")));
  ASSERT_TRUE(stream.Read(&answer));
  EXPECT_THAT(answer, AllOf(HasSubstr("octet.v1.TextEncoder"), HasSubstr("inference.GRPCInferenceService"),
                            HasSubstr("tei.v1.Embed"), HasSubstr("tei.v1.Info"), HasSubstr("grpc.health.v1.Health")));
  for (const std::string symbol : {"octet.v1.TextEncoder", "octet.v1.EmbedRequest", "inference.ModelInferRequest",
                                   "tei.v1.Embed", "grpc.health.v1.Health"}) {
    ASSERT_TRUE(stream.Write(ReflectionRequest(4, symbol)));
    ASSERT_TRUE(stream.Read(&answer));
    // A file descriptor names its package and messages; an error would have only the symbol.
    EXPECT_THAT(answer, AllOf(HasSubstr(".proto"), HasSubstr("proto3"))) << symbol;
  }
  ASSERT_TRUE(stream.WritesDone());
  EXPECT_FALSE(stream.Read(&answer));
  EXPECT_TRUE(stream.Finish().ok());
}

TEST_F(GrpcHealthTest, ReflectionCanBeOff) {
  rpc_options_.reflection = false;
  Start();
  RawStream stream(channel_, kReflection);
  stream.Write(ReflectionRequest(7, "*"));
  std::string answer;
  EXPECT_FALSE(stream.Read(&answer));
  EXPECT_EQ(stream.Finish().error_code(), grpc::StatusCode::UNIMPLEMENTED);
}

TEST_F(GrpcHealthTest, APortHasOneServer) {
  Start();
  RpcOptions options = rpc_options_;
  for (const std::string& address : {absl::StrCat("127.0.0.1:", server_->port()), std::string("nonsense.invalid:x")}) {
    options.address = address;
    const auto second = CreateServer(options);
    EXPECT_EQ(second.status().code(), absl::StatusCode::kFailedPrecondition) << address;
    EXPECT_THAT(std::string(second.status().message()), StartsWith(absl::StrCat("cannot bind ", address)));
  }
  EXPECT_EQ(Check(""), HealthCheckResponse::SERVING);  // the first is as it was
}

}  // namespace
}  // namespace octet::rpc
