#include "server/rpc/port_credentials.h"

#include <grpc/grpc.h>
#include <grpc/grpc_security.h>

#include <atomic>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/string_view.h"
#include "base/check.h"

namespace octet::rpc {
namespace {

constexpr absl::string_view kHealthService = "/grpc.health.v1.Health/";  // probes cannot send tokens

absl::string_view ToView(const grpc_slice& slice) {
  return {reinterpret_cast<const char*>(GRPC_SLICE_START_PTR(slice)), GRPC_SLICE_LENGTH(slice)};
}

// Hands gRPC the certificates in use when they are not those that it has.
struct CertificateFetcher {
  const security::CertificateStore* const store;
  // gRPC asks under a lock, but one of its own.
  std::atomic<uint64_t> fetched{0};

  static grpc_ssl_certificate_config_reload_status Fetch(void* self, grpc_ssl_server_certificate_config** config) {
    auto* const fetcher = static_cast<CertificateFetcher*>(self);
    const auto current = fetcher->store->Current();
    if (current->number == fetcher->fetched) return GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_UNCHANGED;
    const security::CertificatePem& pem = current->value.pem;
    grpc_ssl_pem_key_cert_pair pair = {pem.key.c_str(), pem.chain.c_str()};
    // gRPC aborts without authorities. Where clients are not asked for a certificate nothing is verified by them.
    const std::string& authorities = pem.client_ca.empty() ? pem.chain : pem.client_ca;
    *config = grpc_ssl_server_certificate_config_create(authorities.c_str(), &pair, 1);
    fetcher->fetched = current->number;
    return GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_NEW;
  }
};

// Looks at the metadata of every call of the port.
struct TokenProcessor {
  const security::TokenStore* const store;
  serving::Metrics* const metrics;

  static void Process(void* self, grpc_auth_context*, const grpc_metadata* metadata, size_t num_metadata,
                      grpc_process_auth_metadata_done_cb done, void* call) {
    const auto* const processor = static_cast<const TokenProcessor*>(self);
    bool is_health = false;
    std::vector<absl::string_view> authorization;
    std::vector<grpc_metadata> consumed;  // what handlers need not see
    for (size_t i = 0; i < num_metadata; ++i) {
      const absl::string_view key = ToView(metadata[i].key);
      if (key == ":path") is_health = absl::StartsWith(ToView(metadata[i].value), kHealthService);
      if (key != "authorization") continue;
      authorization.push_back(ToView(metadata[i].value));
      consumed.push_back(metadata[i]);
    }
    const absl::Status status =
        is_health ? absl::OkStatus() : security::CheckAuthorization(processor->store->Current()->value, authorization);
    if (!status.ok()) processor->metrics->RecordRejected(serving::RejectReason::kUnauthenticated);
    // Both libraries number the canonical codes alike.
    done(call, consumed.data(), consumed.size(), nullptr, 0, static_cast<grpc_status_code>(status.raw_code()),
         status.ok() ? nullptr : std::string(status.message()).c_str());
  }
  static void Destroy(void* self) { delete static_cast<TokenProcessor*>(self); }
};

class PortCredentials final : public grpc::ServerCredentials {
 public:
  PortCredentials(const security::CertificateStore* certificates, const security::TokenStore* tokens,
                  serving::Metrics* metrics)
      : fetcher_{certificates},
        credentials_(certificates == nullptr ? grpc_insecure_server_credentials_create()
                                             : CreateTls(certificates, &fetcher_)) {
    if (tokens == nullptr) return;
    grpc_server_credentials_set_auth_metadata_processor(
        credentials_, {TokenProcessor::Process, TokenProcessor::Destroy, new TokenProcessor{tokens, metrics}});
  }
  ~PortCredentials() override { grpc_server_credentials_release(credentials_); }

  // Ours is set in the constructor.
  void SetAuthMetadataProcessor(const std::shared_ptr<grpc::AuthMetadataProcessor>&) override { OCTET_CHECK(false); }

 private:
  // TLS 1.2 at least is what gRPC does by itself.
  static grpc_server_credentials* CreateTls(const security::CertificateStore* certificates,
                                            CertificateFetcher* fetcher) {
    const bool verifies_clients = !certificates->Current()->value.pem.client_ca.empty();
    return grpc_ssl_server_credentials_create_with_options(
        grpc_ssl_server_credentials_create_options_using_config_fetcher(
            verifies_clients ? GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY
                             : GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE,
            CertificateFetcher::Fetch, fetcher));
  }

  int AddPortToServer(const std::string& address, grpc_server* server) override {
    return grpc_server_add_http2_port(server, address.c_str(), credentials_);
  }

  CertificateFetcher fetcher_;
  grpc_server_credentials* const credentials_;
};

}  // namespace

std::shared_ptr<grpc::ServerCredentials> MakePortCredentials(const security::CertificateStore* certificates,
                                                             const security::TokenStore* tokens,
                                                             serving::Metrics* metrics) {
  return std::make_shared<PortCredentials>(certificates, tokens, metrics);
}

}  // namespace octet::rpc
