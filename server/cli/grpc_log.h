// gRPC's own messages (a handshake that fails, a connection that breaks the protocol) as lines of octet's log, so that
// stderr has one format, and a peer that knocks a thousand times a second does not fill it. How much gRPC tells is
// GRPC_VERBOSITY's to say; its default is errors only.
#ifndef OCTET_SERVER_CLI_GRPC_LOG_H_
#define OCTET_SERVER_CLI_GRPC_LOG_H_

#include <cstddef>

#include "base/clock.h"

namespace octet::cli {

// From here on, in this process. At most so many lines a second from each place in gRPC's source; a line says how many
// were left out before it. To be called after StartLogging, once; `clock` must last as long as the process.
void RouteGrpcLog(size_t max_lines_per_second, const Clock* clock);

}  // namespace octet::cli

#endif  // OCTET_SERVER_CLI_GRPC_LOG_H_
