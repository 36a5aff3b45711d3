#include "server/cli/grpc_log.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "grpc/support/log.h"
#include "server/cli/line_limit.h"
#include "server/cli/log.h"

namespace octet::cli {
namespace {

LineLimit* limit = nullptr;

// What gRPC calls an error is a peer's doing as a rule, or something that its users report in their own words.
spdlog::level::level_enum LevelOf(gpr_log_severity severity) {
  return severity == GPR_LOG_SEVERITY_ERROR ? spdlog::level::warn : spdlog::level::debug;
}

void LogGrpcMessage(gpr_log_func_args* args) {
  const absl::string_view path = args->file;
  const std::string place = absl::StrCat(path.substr(path.rfind('/') + 1), ":", args->line);  // npos + 1 is 0
  if (!limit->Admit(place)) return;
  std::vector<LogField> fields = {
      {"event", std::string("grpc")}, {"source", place}, {"error", std::string(args->message)}};
  if (const uint64_t left_out = limit->TakeLeftOut(place); left_out > 0) {
    fields.push_back({"left_out", static_cast<int64_t>(left_out)});
  }
  LogEvent(LevelOf(args->severity), "gRPC", fields);
}

}  // namespace

void RouteGrpcLog(size_t max_lines_per_second, const Clock* clock) {
  limit = new LineLimit(max_lines_per_second, clock);  // gRPC's threads may write until the process has ended
  gpr_set_log_function(LogGrpcMessage);
}

}  // namespace octet::cli
