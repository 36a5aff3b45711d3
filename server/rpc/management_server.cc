#include "server/rpc/management_server.h"

#include <utility>

#include "base/status_macros.h"
#include "server/rpc/cq_transport.h"

namespace octet::rpc {
namespace {

// Requests are a few bytes; answers grow with the number of models.
RpcOptions SmallServer(const RpcOptions& given) {
  RpcOptions options;
  options.address = given.address;
  options.certificates = given.certificates;
  options.tokens = given.tokens;
  options.reflection = given.reflection;
  options.max_receive_message_bytes = 64 << 10;
  options.max_send_message_bytes = 1 << 20;
  options.memory_quota_bytes = 4 << 20;
  options.max_concurrent_streams = 16;
  options.posted_calls = 4;
  options.completion_queues = 1;
  return options;
}

}  // namespace

absl::StatusOr<std::unique_ptr<ManagementServer>> ManagementServer::Create(const RpcOptions& options,
                                                                           AdminContext context,
                                                                           serving::Metrics* metrics,
                                                                           const Clock* clock) {
  std::unique_ptr<ManagementServer> server(new ManagementServer(std::move(context)));
  ASSIGN_OR_RETURN(server->transport_,
                   StartCqTransport(SmallServer(options), MakeAdminMethods(&server->context_), metrics, clock));
  server->transport_->SetHealth("", true);
  return server;
}

}  // namespace octet::rpc
