// The listener of operators: octet.admin.v1.Admin, health and reflection on addresses, threads and tokens of its own, so
// that neither a full server nor a caller's token is in the way of the one or lends itself to the other. Thread-safe.
#ifndef OCTET_SERVER_RPC_MANAGEMENT_SERVER_H_
#define OCTET_SERVER_RPC_MANAGEMENT_SERVER_H_

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "base/clock.h"
#include "server/rpc/admin_service.h"
#include "server/rpc/rpc_options.h"
#include "server/rpc/transport.h"
#include "serving/metrics.h"

namespace octet::rpc {

class ManagementServer {
 public:
  // Of `options`: address, certificates, tokens and reflection; limits are small and fixed. Binds and starts to answer.
  // Errors of StartCqTransport. The pointers must outlive the server.
  static absl::StatusOr<std::unique_ptr<ManagementServer>> Create(const RpcOptions& options, AdminContext context,
                                                                  serving::Metrics* metrics, const Clock* clock);

  std::vector<std::string> addresses() const { return transport_->addresses(); }

 private:
  explicit ManagementServer(AdminContext context) : context_(std::move(context)) {}

  const AdminContext context_;
  std::unique_ptr<Transport> transport_;  // last: its threads use the context
};

}  // namespace octet::rpc

#endif  // OCTET_SERVER_RPC_MANAGEMENT_SERVER_H_
