// `octet health`: one grpc.health.v1 Check, for containers without other tools. Speaks TLS, with a certificate of its own
// if the server asks for one.
#include <chrono>
#include <cstdio>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "grpcpp/grpcpp.h"
#include "server/cli/command.h"
#include "server/cli/exit_code.h"
#include "server/security/small_file.h"

namespace octet::cli {
namespace {

using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;

struct HealthFlags {
  std::string address = "127.0.0.1:50051";
  std::string service;
  double timeout_seconds = 1;
  bool tls = false;
  std::string ca_file, cert_file, key_file, server_name;
};

// Of the files that were named, in this order.
absl::StatusOr<grpc::SslCredentialsOptions> ReadTlsOptions(const HealthFlags& flags) {
  grpc::SslCredentialsOptions options;
  const auto read = [](const char* flag, const std::string& path, std::string* content) -> absl::Status {
    if (path.empty()) return absl::OkStatus();
    const security::NamedFile file = {flag, path};
    ASSIGN_OR_RETURN(const auto contents, security::ReadTogether({&file, 1}));
    *content = contents[0];
    return absl::OkStatus();
  };
  RETURN_IF_ERROR(read("--ca-file", flags.ca_file, &options.pem_root_certs));
  RETURN_IF_ERROR(read("--cert-file", flags.cert_file, &options.pem_cert_chain));
  RETURN_IF_ERROR(read("--key-file", flags.key_file, &options.pem_private_key));
  return options;
}

bool UsesTls(const HealthFlags& flags) {
  return flags.tls || !flags.ca_file.empty() || !flags.cert_file.empty() || !flags.server_name.empty();
}

int RunHealth(const HealthFlags& flags) {
  grpc::ChannelArguments arguments;
  arguments.SetInt("grpc.enable_http_proxy", 0);  // a probe asks this server, whatever the environment says
  auto credentials = grpc::InsecureChannelCredentials();
  if (UsesTls(flags)) {
    const auto options = ReadTlsOptions(flags);
    if (!options.ok()) {
      PrintError(std::string(options.status().message()));
      return kExitConfig;
    }
    if (!flags.server_name.empty()) arguments.SetSslTargetNameOverride(flags.server_name);
    credentials = grpc::SslCredentials(*options);
  }
  const auto stub = grpc::health::v1::Health::NewStub(grpc::CreateCustomChannel(flags.address, credentials, arguments));
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
  command->add_option("address", flags->address, "HOST:PORT or unix:/PATH")->capture_default_str();
  command->add_option("--service", flags->service, "A service, a model, or \"liveness\"; default: the server");
  command->add_option("--timeout", flags->timeout_seconds, "Seconds")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command->add_flag("--tls", flags->tls, "TLS, with the system's authorities unless --ca-file names others");
  command->add_option("--ca-file", flags->ca_file, "TLS, and the authorities (PEM) of the server's certificate");
  CLI::Option* const cert = command->add_option("--cert-file", flags->cert_file,
                                                "TLS, and a certificate (PEM) for a server that asks for one");
  CLI::Option* const key = command->add_option("--key-file", flags->key_file, "Its key");
  cert->needs(key);
  key->needs(cert);
  command->add_option("--server-name", flags->server_name,
                      "TLS, and the name in the server's certificate when it is not HOST");
  command->callback([flags, chosen] { *chosen = [flags] { return RunHealth(*flags); }; });
}

}  // namespace octet::cli
