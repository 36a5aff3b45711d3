// `octet health`: one grpc.health.v1 Check, for containers without other tools.
#include <chrono>
#include <cstdio>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "grpcpp/grpcpp.h"
#include "server/cli/command.h"
#include "server/cli/exit_code.h"

namespace octet::cli {
namespace {

using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;

struct HealthFlags {
  std::string address = "127.0.0.1:50051";
  std::string service;
  double timeout_seconds = 1;
};

int RunHealth(const HealthFlags& flags) {
  grpc::ChannelArguments arguments;
  arguments.SetInt("grpc.enable_http_proxy", 0);  // a probe asks this server, whatever the environment says
  const auto stub = grpc::health::v1::Health::NewStub(
      grpc::CreateCustomChannel(flags.address, grpc::InsecureChannelCredentials(), arguments));
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() +
                       std::chrono::milliseconds(static_cast<int64_t>(flags.timeout_seconds * 1000)));
  HealthCheckRequest request;
  request.set_service(flags.service);
  HealthCheckResponse response;
  const grpc::Status status = stub->Check(&context, request, &response);
  if (!status.ok()) {
    PrintError(absl::StrCat("health of ", flags.address, ": ", status.error_message()));
    return kExitFailure;
  }
  const bool serving = response.status() == HealthCheckResponse::SERVING;
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
