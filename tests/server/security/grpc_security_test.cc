// TLS, tokens, UNIX sockets and management over real connections (reliability table L14, S1, S4, N14).
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "octet/admin/v1/admin.grpc.pb.h"
#include "octet/v1/text_encoder.grpc.pb.h"
#include "server/rpc/management_server.h"
#include "server/security/bearer_tokens.h"
#include "server/security/certificates.h"
#include "tests/server/security/test_certificates.h"
#include "tests/server/server_harness.h"

namespace octet::rpc {
namespace {

namespace fs = std::filesystem;
using ::grpc::StatusCode;
using ::testing::HasSubstr;

constexpr char kToken[] = "0123456789abcdef";

class GrpcSecurityTest : public ServerHarness {
 protected:
  GrpcSecurityTest() : folder_(fs::path(testing::TempDir()) / absl::StrCat("security_", getpid())) {
    fs::create_directories(folder_);
  }
  ~GrpcSecurityTest() override { fs::remove_all(folder_); }

  void Write(const security::TestPair& pair) {
    security::WriteFile(folder_ / "tls.crt", pair.certificate);
    security::WriteFile(folder_ / "tls.key", pair.key);
  }

  void StartWithTls(const std::string& client_ca_file = "") {
    Write(authority_.Sign("server"));
    auto store = security::LoadCertificates(
        {.certificate_file = folder_ / "tls.crt", .key_file = folder_ / "tls.key", .client_ca_file = client_ca_file});
    ASSERT_TRUE(store.ok()) << store.status();
    certificates_ = *std::move(store);
    rpc_options_.certificates = certificates_.get();
    Start();
  }

  void LoadTokens(const std::string& tokens) {
    security::WriteFile(folder_ / "tokens", tokens);
    auto store = security::LoadTokens("auth.token_file", folder_ / "tokens");
    ASSERT_TRUE(store.ok()) << store.status();
    tokens_ = *std::move(store);
    rpc_options_.tokens = tokens_.get();
  }

  // A connection of its own that trusts servers by `authority`. `pair`: the client's, if it has one.
  std::shared_ptr<grpc::Channel> TlsChannel(const security::TestAuthority& authority,
                                            const security::TestPair& pair = {}) const {
    grpc::SslCredentialsOptions options;
    options.pem_root_certs = authority.certificate();
    options.pem_private_key = pair.key;
    options.pem_cert_chain = pair.certificate;
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    return grpc::CreateCustomChannel(absl::StrCat("127.0.0.1:", server_->port()), grpc::SslCredentials(options),
                                     arguments);
  }

  // `authorization`: "" sends none.
  static grpc::Status Embed(const std::shared_ptr<grpc::Channel>& channel, const std::string& authorization = "") {
    grpc::ClientContext context;
    if (!authorization.empty()) context.AddMetadata("authorization", authorization);
    v1::EmbedRequest request;
    request.add_texts("abc");
    v1::EmbedResponse response;
    return v1::TextEncoder::NewStub(channel)->Embed(&context, request, &response);
  }

  const fs::path folder_;
  security::TestAuthority authority_{"test authority"};
  std::unique_ptr<security::CertificateStore> certificates_;
  std::unique_ptr<security::TokenStore> tokens_;
};

TEST_F(GrpcSecurityTest, ServesWhoTrustsItsAuthorityAndNoPlainText) {
  StartWithTls();
  EXPECT_TRUE(Embed(TlsChannel(authority_)).ok());
  const security::TestAuthority stranger("stranger");
  EXPECT_EQ(Embed(TlsChannel(stranger)).error_code(), StatusCode::UNAVAILABLE);
  EXPECT_EQ(Embed(Connect()).error_code(), StatusCode::UNAVAILABLE);  // without TLS
}

TEST_F(GrpcSecurityTest, L14NewConnectionsGetTheNewPairAndOldOnesGoOn) {
  StartWithTls();
  const auto old_connection = TlsChannel(authority_);
  ASSERT_TRUE(Embed(old_connection).ok());

  security::TestAuthority next("next authority");
  security::WriteFile(folder_ / "tls.crt", next.Sign("server").certificate);  // with the key of before
  ASSERT_EQ(certificates_->Refresh().result, security::Reload::Result::kRejected);
  EXPECT_TRUE(Embed(TlsChannel(authority_)).ok());

  Write(next.Sign("server"));
  ASSERT_EQ(certificates_->Refresh().result, security::Reload::Result::kReloaded);
  EXPECT_TRUE(Embed(TlsChannel(next)).ok());
  EXPECT_EQ(Embed(TlsChannel(authority_)).error_code(), StatusCode::UNAVAILABLE);
  EXPECT_TRUE(Embed(old_connection).ok());
}

TEST_F(GrpcSecurityTest, S1MutualTlsTakesTheAuthoritysClientsOnly) {
  security::WriteFile(folder_ / "ca.crt", authority_.certificate());
  StartWithTls(folder_ / "ca.crt");
  const auto call_as = [&](const security::TestPair& pair) { return Embed(TlsChannel(authority_, pair)); };
  EXPECT_TRUE(call_as(authority_.Sign("client")).ok());
  security::TestAuthority stranger("stranger");
  const absl::Time now = absl::Now();
  EXPECT_EQ(call_as(stranger.Sign("client")).error_code(), StatusCode::UNAVAILABLE);
  EXPECT_EQ(call_as(authority_.Sign("late", {now - absl::Hours(3), now - absl::Hours(1)})).error_code(),
            StatusCode::UNAVAILABLE);
  EXPECT_EQ(call_as({}).error_code(), StatusCode::UNAVAILABLE);
}

TEST_F(GrpcSecurityTest, TokensLetCallsInAndHealthNeedsNone) {
  LoadTokens(kToken);
  Start();
  EXPECT_TRUE(Embed(channel_, absl::StrCat("Bearer ", kToken)).ok());
  const grpc::Status none = Embed(channel_);
  EXPECT_EQ(none.error_code(), StatusCode::UNAUTHENTICATED);
  EXPECT_THAT(none.error_message(), HasSubstr("authorization: no token"));
  const grpc::Status wrong = Embed(channel_, "Bearer fedcba9876543210");
  EXPECT_EQ(wrong.error_code(), StatusCode::UNAUTHENTICATED);
  EXPECT_THAT(wrong.error_message(), HasSubstr("not one of this server's"));
  EXPECT_EQ(metrics_->Rejected(serving::RejectReason::kUnauthenticated), 2);
  // Reflection and streams are not let in either.
  RawStream reflection(channel_, "grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo");
  EXPECT_EQ(reflection.Finish().error_code(), StatusCode::UNAUTHENTICATED);
  RawStream stream(channel_, "octet.v1.TextEncoder/EmbedStream");
  EXPECT_EQ(stream.Finish().error_code(), StatusCode::UNAUTHENTICATED);

  grpc::ClientContext context;
  grpc::health::v1::HealthCheckResponse health;
  EXPECT_TRUE(grpc::health::v1::Health::NewStub(channel_)->Check(&context, {}, &health).ok());

  security::WriteFile(folder_ / "tokens", "a-new-token-1234\n");
  ASSERT_EQ(tokens_->Refresh().result, security::Reload::Result::kReloaded);
  EXPECT_EQ(Embed(channel_, absl::StrCat("Bearer ", kToken)).error_code(), StatusCode::UNAUTHENTICATED);
  EXPECT_TRUE(Embed(channel_, "Bearer a-new-token-1234").ok());
}

TEST_F(GrpcSecurityTest, N14ListensOnAUnixSocketForOwnerAndGroup) {
  const std::string path = folder_ / "s";
  rpc_options_.address = absl::StrCat("127.0.0.1:0,unix:", path);
  Start();
  EXPECT_TRUE(Embed(channel_).ok());
  EXPECT_TRUE(Embed(grpc::CreateChannel("unix:" + path, grpc::InsecureChannelCredentials())).ok());
  struct stat status;
  ASSERT_EQ(stat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0660u);
  EXPECT_EQ(server_->addresses(),
            (std::vector<std::string>{absl::StrCat("127.0.0.1:", server_->port()), "unix:" + path}));
}

TEST_F(GrpcSecurityTest, C4TakesAStaleSocketAndNoOtherFile) {
  const std::string path = folder_ / "s";
  const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path.c_str(), sizeof(address.sun_path) - 1);
  ASSERT_EQ(bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  close(fd);  // its file stays, as after SIGKILL
  rpc_options_.address = "unix:" + path;
  Start();
  EXPECT_EQ(server_->port(), 0);
  EXPECT_THAT(std::string(CreateServer(rpc_options_).status().message()), HasSubstr("another process listens there"));
  EXPECT_TRUE(Embed(grpc::CreateChannel("unix:" + path, grpc::InsecureChannelCredentials())).ok());

  std::ofstream(folder_ / "file") << "not a socket";
  RpcOptions options = rpc_options_;
  options.address = absl::StrCat("unix:", (folder_ / "file").string());
  EXPECT_THAT(std::string(CreateServer(options).status().message()), HasSubstr("there is a file that is no socket"));
}

class ManagementTest : public GrpcSecurityTest {
 protected:
  void StartManagement(RpcOptions options) {
    Start();
    options.address = "127.0.0.1:0";
    AdminContext context = {.repository = &repository_,
                            .certificates = nullptr,
                            .server_version = "1.2.3",
                            .actions = {.is_serving = [this] { return server_->serving(); },
                                        .log_level = [this] { return level_.load(); },
                                        .set_log_level = [this](admin::v1::LogLevel level) { level_ = level; },
                                        .reload_credentials = [] { return std::vector<admin::v1::Reload>(1); },
                                        .drain = [this] { drained_ = true; }}};
    auto management = ManagementServer::Create(options, std::move(context), metrics_.get(), &SteadyClock::Get());
    ASSERT_TRUE(management.ok()) << management.status();
    management_ = *std::move(management);
    admin_channel_ = grpc::CreateChannel(management_->addresses()[0], grpc::InsecureChannelCredentials());
    admin_ = admin::v1::Admin::NewStub(admin_channel_);
  }
  void TearDown() override {
    management_ = nullptr;
    GrpcSecurityTest::TearDown();
  }

  std::unique_ptr<ManagementServer> management_;
  std::shared_ptr<grpc::Channel> admin_channel_;
  std::unique_ptr<admin::v1::Admin::Stub> admin_;
  std::atomic<admin::v1::LogLevel> level_{admin::v1::LOG_LEVEL_INFO};
  std::atomic<bool> drained_{false};
};

TEST_F(ManagementTest, TellsAndActs) {
  StartManagement({});
  grpc::ClientContext contexts[5];
  admin::v1::GetStatusResponse status;
  ASSERT_TRUE(admin_->GetStatus(&contexts[0], {}, &status).ok());
  EXPECT_EQ(status.server_version(), "1.2.3");
  EXPECT_TRUE(status.serving());
  EXPECT_EQ(status.log_level(), admin::v1::LOG_LEVEL_INFO);
  ASSERT_EQ(status.models_size(), 1);
  EXPECT_EQ(status.models(0).name(), "mini");
  EXPECT_TRUE(status.models(0).is_default());
  EXPECT_FALSE(status.has_certificate());

  admin::v1::SetLogLevelRequest request;
  admin::v1::SetLogLevelResponse level;
  const grpc::Status unspecified = admin_->SetLogLevel(&contexts[1], request, &level);
  EXPECT_EQ(unspecified.error_code(), StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(unspecified.error_message(), HasSubstr("level: unspecified or unknown"));
  request.set_level(admin::v1::LOG_LEVEL_DEBUG);
  ASSERT_TRUE(admin_->SetLogLevel(&contexts[2], request, &level).ok());
  EXPECT_EQ(level.previous(), admin::v1::LOG_LEVEL_INFO);
  EXPECT_EQ(level_, admin::v1::LOG_LEVEL_DEBUG);

  admin::v1::ReloadCredentialsResponse reloads;
  ASSERT_TRUE(admin_->ReloadCredentials(&contexts[3], {}, &reloads).ok());
  EXPECT_EQ(reloads.reloads_size(), 1);
  admin::v1::DrainResponse drained;
  ASSERT_TRUE(admin_->Drain(&contexts[4], {}, &drained).ok());
  EXPECT_TRUE(drained_);
}

TEST_F(ManagementTest, S4IsNotBesideTheServicesNorTheyBesideIt) {
  StartManagement({});
  admin_ = admin::v1::Admin::NewStub(channel_);
  grpc::ClientContext context;
  admin::v1::DrainResponse drained;
  EXPECT_EQ(admin_->Drain(&context, {}, &drained).error_code(), StatusCode::UNIMPLEMENTED);
  EXPECT_FALSE(drained_);
  EXPECT_EQ(Embed(admin_channel_).error_code(), StatusCode::UNIMPLEMENTED);
}

TEST_F(ManagementTest, S4HasTokensOfItsOwn) {
  LoadTokens(kToken);
  RpcOptions options;
  options.tokens = tokens_.get();
  rpc_options_.tokens = nullptr;  // the services have none
  StartManagement(options);
  grpc::ClientContext without;
  admin::v1::DrainResponse drained;
  EXPECT_EQ(admin_->Drain(&without, {}, &drained).error_code(), StatusCode::UNAUTHENTICATED);
  EXPECT_FALSE(drained_);
  grpc::ClientContext with;
  with.AddMetadata("authorization", absl::StrCat("Bearer ", kToken));
  EXPECT_TRUE(admin_->Drain(&with, {}, &drained).ok());
}

TEST_F(ManagementTest, NamesARequestThatIsNone) {
  StartManagement({});
  channel_ = admin_channel_;
  const RawAnswer answer = CallRaw("octet.admin.v1.Admin/SetLogLevel", "\xff\xff");
  EXPECT_EQ(answer.status.error_code(), StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(answer.status.error_message(), "request: not a valid SetLogLevelRequest");
}

}  // namespace
}  // namespace octet::rpc
