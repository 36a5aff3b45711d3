// What stands before the calls of one listening address: TLS with certificates that may be replaced while it serves, and
// bearer tokens for every call but health checks. The only user of gRPC's C API, whose certificate fetcher is asked at
// each handshake and has no counterpart in C++ 1.51; its file watcher fails all handshakes while a pair does not match.
#ifndef OCTET_SERVER_RPC_PORT_CREDENTIALS_H_
#define OCTET_SERVER_RPC_PORT_CREDENTIALS_H_

#include <memory>

#include "grpcpp/security/server_credentials.h"
#include "server/security/bearer_tokens.h"
#include "server/security/certificates.h"
#include "serving/metrics.h"

namespace octet::rpc {

// Credentials for one port and not for a second: what was fetched last is remembered for one. `certificates` null: no
// TLS. `tokens` null: every call is let in. Calls that are not are counted in `metrics` as rejected, and answered
// UNAUTHENTICATED before anything else sees them. The pointers must outlive the server.
std::shared_ptr<grpc::ServerCredentials> MakePortCredentials(const security::CertificateStore* certificates,
                                                             const security::TokenStore* tokens,
                                                             serving::Metrics* metrics);

}  // namespace octet::rpc

#endif  // OCTET_SERVER_RPC_PORT_CREDENTIALS_H_
