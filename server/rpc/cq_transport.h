// The default transport: gRPC C++ completion queues with raw byte buffers and a bounded number of posted
// calls. Of the three server APIs of gRPC 1.51 this one held its memory best under connection abuse, and raw
// buffers let octet word the answer to a malformed message (docs/decisions/0004).
#ifndef OCTET_SERVER_RPC_CQ_TRANSPORT_H_
#define OCTET_SERVER_RPC_CQ_TRANSPORT_H_

#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "base/clock.h"
#include "server/rpc/rpc_options.h"
#include "server/rpc/transport.h"
#include "serving/metrics.h"

namespace octet::rpc {

// Binds and starts. Every call of `methods` is counted in `metrics` once at its start and once with its
// outcome. FailedPrecondition "cannot bind ..." when an address is in use or wrong. `metrics` and `clock`
// must outlive the transport. The methods of one service stand together; calls of the first method are the least
// likely to be left unanswered when the transport shuts down.
absl::StatusOr<std::unique_ptr<Transport>> StartCqTransport(const RpcOptions& options, std::vector<Method> methods,
                                                            serving::Metrics* metrics, const Clock* clock);

}  // namespace octet::rpc

#endif  // OCTET_SERVER_RPC_CQ_TRANSPORT_H_
