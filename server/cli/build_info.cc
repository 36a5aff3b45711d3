#include "server/cli/build_info.h"

#include "grpcpp/grpcpp.h"
#include "kernels/onednn_version.h"

namespace octet::cli {

BuildInfo GetBuildInfo() {
  return {
      .version = OCTET_VERSION, .commit = OCTET_COMMIT, .onednn = kernels::OneDnnVersion(), .grpc = grpc::Version()};
}

}  // namespace octet::cli
