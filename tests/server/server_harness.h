// A gRPC server on a free port of the loopback interface, over the real pipeline and a fake model, and a
// client that sends raw bytes. When a test ends, every call must have been counted once.
#ifndef OCTET_TESTS_SERVER_SERVER_HARNESS_H_
#define OCTET_TESTS_SERVER_SERVER_HARNESS_H_

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "grpcpp/generic/generic_stub.h"
#include "grpcpp/grpcpp.h"
#include "server/rpc/server.h"
#include "tests/server/bytes.h"
#include "tests/serving/fakes.h"

namespace octet::rpc {

// An answer as a raw client sees it.
struct RawAnswer {
  grpc::Status status;
  std::string bytes;
};

// A stream of raw bytes in both directions; each step waits for its end.
class RawStream {
 public:
  RawStream(std::shared_ptr<grpc::Channel> channel, const std::string& method) : stub_(std::move(channel)) {
    stream_ = stub_.PrepareCall(&context_, absl::StrCat("/", method), &queue_);
    stream_->StartCall(this);
    Wait();
  }

  bool Write(const std::string& bytes) {
    stream_->Write(ToBuffer(bytes), this);
    return Wait();
  }
  bool WritesDone() {
    stream_->WritesDone(this);
    return Wait();
  }
  // False at the end of the answers.
  bool Read(std::string* bytes) {
    grpc::ByteBuffer buffer;
    stream_->Read(&buffer, this);
    const bool ok = Wait();
    *bytes = ok ? ToString(buffer) : "";
    return ok;
  }
  grpc::Status Finish() {
    grpc::Status status;
    stream_->Finish(&status, this);
    Wait();
    return status;
  }
  void Cancel() { context_.TryCancel(); }

 private:
  bool Wait() {
    void* tag;
    bool ok = false;
    EXPECT_TRUE(queue_.Next(&tag, &ok));
    return ok;
  }

  grpc::ClientContext context_;
  grpc::CompletionQueue queue_;
  grpc::GenericStub stub_;
  std::unique_ptr<grpc::GenericClientAsyncReaderWriter> stream_;
};

// Options may be changed until Start. Texts that begin with 'G' wait for gate() in the model.
class ServerHarness : public ::testing::Test {
 protected:
  ServerHarness() {
    rpc_options_.address = "127.0.0.1:0";
    rpc_options_.server_version = "1.2.3";
    pipeline_options_.warm_up_tokens = 0;
    model_->on_compute = [this](const model::PackedBatch& batch, MatrixView<float>) {
      if (batch.ids[0] == 'G') gate_.Pass();
      return absl::OkStatus();
    };
    serving::MetricsOptions metrics_options;
    metrics_options.methods = MethodNames();
    metrics_ = std::make_unique<serving::Metrics>(metrics_options);
  }

  void AddModel(const std::string& name, std::shared_ptr<serving::FakeServable> model) {
    metrics_->RegisterModel({name, "0123456789ab", "f32", "scalar", absl::Seconds(1)});
    ASSERT_TRUE(repository_.Add({name, std::move(model), absl::Seconds(1)}).ok());
  }

  void Start() {
    if (repository_.List().empty()) AddModel("mini", model_);
    auto pipeline = serving::Pipeline::Create(pipeline_options_, &repository_, metrics_.get(), &SteadyClock::Get());
    ASSERT_TRUE(pipeline.ok()) << pipeline.status();
    pipeline_ = *std::move(pipeline);
    auto server = CreateServer(rpc_options_);
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    server_->SetServing(true);
    channel_ = Connect();
  }

  absl::StatusOr<std::unique_ptr<GrpcServer>> CreateServer(const RpcOptions& options) {
    return GrpcServer::Create(options, pipeline_.get(), &repository_, metrics_.get(), &SteadyClock::Get());
  }

  // A connection of its own.
  std::shared_ptr<grpc::Channel> Connect() const {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    arguments.SetMaxSendMessageSize(-1);
    arguments.SetMaxReceiveMessageSize(-1);
    return grpc::CreateCustomChannel(absl::StrCat("127.0.0.1:", server_->port()), grpc::InsecureChannelCredentials(),
                                     arguments);
  }

  // A unary call of "service/Method" with these bytes as its message.
  RawAnswer CallRaw(const std::string& method, const std::string& bytes) {
    grpc::ClientContext context;
    grpc::CompletionQueue queue;
    grpc::ByteBuffer response;
    RawAnswer answer;
    grpc::GenericStub stub(channel_);
    const auto reader = stub.PrepareUnaryCall(&context, absl::StrCat("/", method), ToBuffer(bytes), &queue);
    reader->StartCall();
    reader->Finish(&response, &answer.status, nullptr);
    void* tag;
    bool ok;
    EXPECT_TRUE(queue.Next(&tag, &ok));
    answer.bytes = ToString(response);
    return answer;
  }

  // Waits until `done` holds. The runner's time limit ends a wait that never does.
  template <typename Predicate>
  static void WaitUntil(const Predicate& done) {
    while (!done()) std::this_thread::yield();
  }

  // Ends everything in the order of the program and checks the counts.
  void TearDown() override {
    gate_.Open();
    if (server_ == nullptr) return;
    channel_ = nullptr;
    server_->Shutdown(absl::InfiniteDuration());
    server_ = nullptr;
    pipeline_ = nullptr;
    EXPECT_EQ(metrics_->TotalStarted(), metrics_->TotalRecorded());
    EXPECT_EQ(metrics_->computed_after_expiry->Value(), 0);
  }

  // How often the fake model has computed a text that begins with `first`.
  size_t TimesComputed(char first) const {
    size_t count = 0;
    for (const serving::SeenBatch& batch : model_->seen()) {
      for (size_t t = 0; t < batch.num_texts(); ++t) count += batch.ids[batch.starts[t]] == first;
    }
    return count;
  }

  RpcOptions rpc_options_;
  serving::PipelineOptions pipeline_options_;
  serving::Gate gate_;
  std::shared_ptr<serving::FakeServable> model_ = std::make_shared<serving::FakeServable>();
  serving::ModelRepository repository_;
  std::unique_ptr<serving::Metrics> metrics_;
  std::unique_ptr<serving::Pipeline> pipeline_;
  std::unique_ptr<GrpcServer> server_;
  std::shared_ptr<grpc::Channel> channel_;
};

}  // namespace octet::rpc

#endif  // OCTET_TESTS_SERVER_SERVER_HARNESS_H_
