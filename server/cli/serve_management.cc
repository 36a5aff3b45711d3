#include "server/cli/serve_management.h"

#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "server/cli/build_info.h"
#include "server/cli/log.h"
#include "spdlog/spdlog.h"

namespace octet::cli {
namespace {

// The log's names of octet.admin.v1.LogLevel, by number.
constexpr const char* kLevelNames[] = {"", "debug", "info", "warn", "error", "off"};
static_assert(std::size(kLevelNames) == admin::v1::LogLevel_ARRAYSIZE);

admin::v1::LogLevel CurrentLevel() {
  const std::string name = LogLevel();
  for (size_t i = 1; i < std::size(kLevelNames); ++i) {
    if (name == kLevelNames[i]) return static_cast<admin::v1::LogLevel>(i);
  }
  return admin::v1::LOG_LEVEL_UNSPECIFIED;
}

void SetLevel(admin::v1::LogLevel level) {
  const char* const name = kLevelNames[level];
  spdlog::warn("management: log level {} from here on", name);
  SetLogLevel(name);
}

admin::v1::Reload::Result ResultOf(security::Reload::Result result) {
  switch (result) {
    case security::Reload::Result::kUnchanged:
      return admin::v1::Reload::RESULT_UNCHANGED;
    case security::Reload::Result::kReloaded:
      return admin::v1::Reload::RESULT_ACCEPTED;
    case security::Reload::Result::kRejected:
      return admin::v1::Reload::RESULT_REJECTED;
  }
  return admin::v1::Reload::RESULT_UNSPECIFIED;
}

std::vector<admin::v1::Reload> ReloadAll(CredentialWatcher* watcher) {
  std::vector<admin::v1::Reload> reloads;
  for (const CredentialWatcher::Look& look : watcher->LookNow()) {
    admin::v1::Reload& reload = reloads.emplace_back();
    reload.set_what(look.what);
    reload.set_result(ResultOf(look.reload.result));
    reload.set_reason(std::string(look.reload.status.message()));
  }
  return reloads;
}

}  // namespace

absl::StatusOr<std::unique_ptr<rpc::ManagementServer>> StartManagement(const Config& config, const Managed& managed,
                                                                       serving::Metrics* metrics) {
  if (config.management().address().empty()) return nullptr;
  rpc::RpcOptions options;
  options.address = config.management().address();
  options.certificates = managed.credentials->certificates.get();
  options.tokens = managed.credentials->management_tokens.get();
  options.reflection = config.grpc().reflection();
  rpc::AdminContext context = {
      .repository = managed.repository,
      .certificates = managed.credentials->certificates.get(),
      .server_version = GetBuildInfo().version,
      .actions = {.is_serving = [server = managed.server] { return server->serving(); },
                  .log_level = CurrentLevel,
                  .set_log_level = SetLevel,
                  .reload_credentials = [watcher = managed.watcher] { return ReloadAll(watcher); },
                  .drain =
                      [signals = managed.signals] {
                        spdlog::info("management: draining");
                        signals->RequestStop();
                      }}};
  return rpc::ManagementServer::Create(options, std::move(context), metrics, &SteadyClock::Get());
}

}  // namespace octet::cli
