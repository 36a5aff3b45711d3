// `octet health`: one grpc.health.v1 Check, for containers without other tools.
#include <chrono>
#include <cstdio>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "google/protobuf/io/coded_stream.h"
#include "google/protobuf/io/zero_copy_stream_impl_lite.h"
#include "google/protobuf/wire_format_lite.h"
#include "grpcpp/generic/generic_stub.h"
#include "grpcpp/grpcpp.h"
#include "server/cli/command.h"
#include "server/cli/exit_code.h"

namespace octet::cli {
namespace {

namespace io = google::protobuf::io;
using WireFormat = google::protobuf::internal::WireFormatLite;

struct HealthFlags {
  std::string address = "127.0.0.1:50051";
  std::string service;
  double timeout_seconds = 1;
};

// HealthCheckRequest { string service = 1; }. By hand, since gRPC's package has no generated code for it.
grpc::ByteBuffer EncodeRequest(const std::string& service) {
  std::string bytes;
  {
    io::StringOutputStream stream(&bytes);
    io::CodedOutputStream coded(&stream);
    if (!service.empty()) WireFormat::WriteString(1, service, &coded);
  }
  const grpc::Slice slice(bytes);
  return grpc::ByteBuffer(&slice, 1);
}

// HealthCheckResponse { ServingStatus status = 1; }; SERVING is 1.
bool IsServing(const grpc::ByteBuffer& response) {
  grpc::Slice slice;
  if (!response.DumpToSingleSlice(&slice).ok()) return false;
  io::CodedInputStream coded(slice.begin(), static_cast<int>(slice.size()));
  constexpr uint32_t kStatusTag = 1 << 3 | WireFormat::WIRETYPE_VARINT;
  uint32_t tag = 0;
  uint64_t status = 0;
  while ((tag = coded.ReadTag()) != 0) {
    const bool read =
        tag == kStatusTag ? coded.ReadVarint64(&status) : WireFormat::SkipField(&coded, tag);
    if (!read) return false;
  }
  return status == 1;
}

int RunHealth(const HealthFlags& flags) {
  grpc::ChannelArguments arguments;
  arguments.SetInt("grpc.enable_http_proxy", 0);  // a probe asks this server, whatever the environment says
  grpc::GenericStub stub(
      grpc::CreateCustomChannel(flags.address, grpc::InsecureChannelCredentials(), arguments));
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() +
                       std::chrono::milliseconds(static_cast<int64_t>(flags.timeout_seconds * 1000)));
  grpc::CompletionQueue queue;
  auto call = stub.PrepareUnaryCall(&context, "/grpc.health.v1.Health/Check", EncodeRequest(flags.service),
                                    &queue);
  grpc::ByteBuffer response;
  grpc::Status status;
  call->StartCall();
  call->Finish(&response, &status, &status);
  void* tag = nullptr;
  bool finished = false;
  queue.Next(&tag, &finished);
  queue.Shutdown();
  if (!status.ok()) {
    PrintError(absl::StrCat("health of ", flags.address, ": ", status.error_message()));
    return kExitFailure;
  }
  const bool serving = IsServing(response);
  std::printf("%s\n", serving ? "SERVING" : "NOT_SERVING");
  return serving ? kExitOk : kExitFailure;
}

}  // namespace

void AddHealthCommand(CLI::App& app, CommandBody* chosen) {
  auto flags = std::make_shared<HealthFlags>();
  CLI::App* command = app.add_subcommand("health", "Ask a running server whether it serves (exit code 0 or 1)");
  command->add_option("address", flags->address, "HOST:PORT")->capture_default_str();
  command->add_option("--service", flags->service, "A service, a model, or \"liveness\"; default: the server");
  command->add_option("--timeout", flags->timeout_seconds, "Seconds")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command->callback([flags, chosen] { *chosen = [flags] { return RunHealth(*flags); }; });
}

}  // namespace octet::cli
