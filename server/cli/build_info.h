// What this binary was built from.
#ifndef OCTET_SERVER_CLI_BUILD_INFO_H_
#define OCTET_SERVER_CLI_BUILD_INFO_H_

#include <string>

namespace octet::cli {

struct BuildInfo {
  std::string version;  // "0.1.0"
  std::string commit;   // 12 hex digits, or "" when built outside a checkout
  std::string onednn;   // "3.2.0", of the library that is loaded
  std::string grpc;
};
BuildInfo GetBuildInfo();

}  // namespace octet::cli

#endif  // OCTET_SERVER_CLI_BUILD_INFO_H_
