// octet.admin.v1.Admin: what an operator asks of a running server. Its methods are for a listener of their own
// (management_server.h); what they do beyond reading is given to them as functions, since signals, log and files belong to
// the command line.
#ifndef OCTET_SERVER_RPC_ADMIN_SERVICE_H_
#define OCTET_SERVER_RPC_ADMIN_SERVICE_H_

#include <functional>
#include <string>
#include <vector>

#include "octet/admin/v1/admin.pb.h"
#include "server/rpc/transport.h"
#include "server/security/certificates.h"
#include "serving/model_repository.h"

namespace octet::rpc {

// Called on a thread of the management listener, several at a time.
struct AdminActions {
  std::function<bool()> is_serving;
  std::function<admin::v1::LogLevel()> log_level;
  std::function<void(admin::v1::LogLevel)> set_log_level;  // never LOG_LEVEL_UNSPECIFIED
  std::function<std::vector<admin::v1::Reload>()> reload_credentials;
  std::function<void()> drain;  // returns at once
};

struct AdminContext {
  const serving::ModelRepository* repository = nullptr;
  const security::CertificateStore* certificates = nullptr;  // null: no TLS
  std::string server_version;
  AdminActions actions;
};

// With handlers that keep a pointer to `context`; it outlives the transport that they are given to.
std::vector<Method> MakeAdminMethods(const AdminContext* context);

}  // namespace octet::rpc

#endif  // OCTET_SERVER_RPC_ADMIN_SERVICE_H_
