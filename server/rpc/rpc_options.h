// Settings of the gRPC server. Why each is what it is: docs/decisions/0004.
#ifndef OCTET_SERVER_RPC_RPC_OPTIONS_H_
#define OCTET_SERVER_RPC_RPC_OPTIONS_H_

#include <cstddef>
#include <string>

#include "absl/time/time.h"
#include "server/rpc/call_observer.h"
#include "server/security/bearer_tokens.h"
#include "server/security/certificates.h"

namespace octet::rpc {

struct RpcOptions {
  // HOST:PORT (port 0 takes a free one) or unix:/PATH (mode 0660), several separated by commas.
  std::string address = "127.0.0.1:50051";
  // TLS of HOST:PORT; UNIX sockets have none. Null: none. These two must outlive the server.
  const security::CertificateStore* certificates = nullptr;
  const security::TokenStore* tokens = nullptr;  // that every call but a health check needs; null: none
  size_t max_receive_message_bytes = 2 << 20;
  size_t max_send_message_bytes = 16 << 20;
  size_t max_metadata_bytes = 16 << 10;
  size_t memory_quota_bytes = 128 << 20;            // for the messages of all connections together, overshoot included
  size_t max_concurrent_streams = 256;              // per connection
  size_t posted_calls = 128;                        // per method and completion queue
  size_t completion_queues = 1;                     // each with its own thread
  size_t max_stream_messages = 64;                  // of one stream that are in work; reading pauses beyond
  size_t max_client_stream_messages = 128;          // of a stream that gets one answer
  size_t max_client_stream_bytes = 2 << 20;         // likewise, all messages together
  absl::Duration max_deadline = absl::Seconds(60);  // of a call or a stream's message; also the default
  absl::Duration keepalive_time = absl::Seconds(30);
  absl::Duration keepalive_timeout = absl::Seconds(10);
  absl::Duration min_ping_interval = absl::Seconds(10);
  size_t max_ping_strikes = 2;
  absl::Duration max_connection_idle = absl::Seconds(900);
  absl::Duration max_connection_age = absl::Seconds(300);
  absl::Duration max_connection_age_grace = absl::Seconds(70);
  absl::Duration handshake_timeout = absl::Seconds(10);
  bool reflection = true;
  std::string server_version;  // for tei.v1.Info
  CallWatchers watchers = {};
};

}  // namespace octet::rpc

#endif  // OCTET_SERVER_RPC_RPC_OPTIONS_H_
