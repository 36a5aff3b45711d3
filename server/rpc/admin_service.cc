#include "server/rpc/admin_service.h"

#include <utility>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "model/encoder.h"
#include "model/task.h"
#include "server/rpc/message_bytes.h"

namespace octet::rpc {
namespace {

admin::v1::Model Describe(const serving::ServedModel& served, bool is_default) {
  const model::ModelInfo& info = served.model->info();
  admin::v1::Model model;
  model.set_name(served.name);
  model.set_version(info.version);
  model.set_fingerprint(info.fingerprint);
  model.set_family(info.family);
  model.set_task(std::string(model::TaskName(info.task)));
  model.set_precision(std::string(model::PrecisionName(info.precision)));
  model.set_quantization(info.quantization);
  model.set_max_tokens(info.max_tokens);
  model.set_load_seconds(absl::ToDoubleSeconds(served.load_time));
  model.set_is_default(is_default);
  return model;
}

absl::StatusOr<admin::v1::GetStatusResponse> GetStatus(const AdminContext& context,
                                                       const admin::v1::GetStatusRequest&) {
  admin::v1::GetStatusResponse response;
  response.set_server_version(context.server_version);
  response.set_serving(context.actions.is_serving());
  response.set_log_level(context.actions.log_level());
  const auto default_model = context.repository->Find("");
  for (const auto& served : context.repository->List()) {
    *response.add_models() = Describe(*served, default_model.ok() && *default_model == served);
  }
  if (context.certificates != nullptr) {
    const auto current = context.certificates->Current();
    auto* const certificate = response.mutable_certificate();
    certificate->set_serial_number(current->value.serial);
    certificate->mutable_not_after()->set_seconds(absl::ToUnixSeconds(current->value.not_after));
    certificate->set_verifies_clients(!current->value.pem.client_ca.empty());
  }
  return response;
}

absl::StatusOr<admin::v1::SetLogLevelResponse> SetLogLevel(const AdminContext& context,
                                                           const admin::v1::SetLogLevelRequest& request) {
  if (request.level() == admin::v1::LOG_LEVEL_UNSPECIFIED || !admin::v1::LogLevel_IsValid(request.level())) {
    return InvalidRequest("level: unspecified or unknown, want LOG_LEVEL_DEBUG, _INFO, _WARN, _ERROR or _OFF");
  }
  admin::v1::SetLogLevelResponse response;
  response.set_previous(context.actions.log_level());
  context.actions.set_log_level(request.level());
  return response;
}

absl::StatusOr<admin::v1::ReloadCredentialsResponse> ReloadCredentials(const AdminContext& context,
                                                                       const admin::v1::ReloadCredentialsRequest&) {
  admin::v1::ReloadCredentialsResponse response;
  for (admin::v1::Reload& reload : context.actions.reload_credentials()) *response.add_reloads() = std::move(reload);
  return response;
}

absl::StatusOr<admin::v1::DrainResponse> Drain(const AdminContext& context, const admin::v1::DrainRequest&) {
  context.actions.drain();
  return admin::v1::DrainResponse();
}

// Parses, answers and serializes. Reading files takes a thread of management's own, not one of the services'.
template <typename Request, typename Response>
Handler Wrap(const AdminContext* context, absl::StatusOr<Response> (*method)(const AdminContext&, const Request&)) {
  return [context, method](Call call) {
    const auto bytes = Flatten(call.request);
    Request request;
    if (!bytes.ok() || !request.ParseFromArray(bytes->begin(), static_cast<int>(bytes->size()))) {
      return std::move(call.reply)(InvalidRequest("request: not a valid " + request.GetDescriptor()->name()), "");
    }
    const absl::StatusOr<Response> response = method(*context, request);
    if (!response.ok()) return std::move(call.reply)(response.status(), "");
    std::move(call.reply)(Serialize(*response), "");
  };
}

}  // namespace

std::vector<Method> MakeAdminMethods(const AdminContext* context) {
  return {
      {"octet.admin.v1.Admin/GetStatus", MethodKind::kUnary, Wrap(context, GetStatus)},
      {"octet.admin.v1.Admin/SetLogLevel", MethodKind::kUnary, Wrap(context, SetLogLevel)},
      {"octet.admin.v1.Admin/ReloadCredentials", MethodKind::kUnary, Wrap(context, ReloadCredentials)},
      {"octet.admin.v1.Admin/Drain", MethodKind::kUnary, Wrap(context, Drain)},
  };
}

}  // namespace octet::rpc
