#include "server/cli/serve_ready.h"

#include <algorithm>
#include <cstdio>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/cpu_isa.h"

namespace octet::cli {
namespace {

// How grpcurl reaches the address with what the configuration asks of callers; it ends with the address.
std::string GrpcurlFlags(const Config& config) {
  std::string flags = config.auth().token_file().empty() ? "" : "-H 'authorization: Bearer TOKEN' ";
  if (!config.grpc().reflection()) absl::StrAppend(&flags, "-import-path proto -proto octet/v1/text_encoder.proto ");
  return flags;
}

std::string GrpcurlTransport(const Config& config, bool is_unix) {
  if (is_unix) return "-plaintext -unix ";
  if (config.tls().certificate_file().empty()) return "-plaintext ";
  return absl::StrCat("-cacert CA.pem ",
                      config.tls().client_ca_file().empty() ? "" : "-cert CLIENT.pem -key CLIENT.key ");
}

// A call of the model that answers when none is named, or of the first one by name.
std::string SampleCall(const Config& config, const ServePlan& plan, const std::string& address) {
  const auto served = std::find_if(plan.models.begin(), plan.models.end(), [&](const PlannedModel& model) {
    return config.default_model().empty() || model.name == config.default_model();
  });
  const bool needs_name = plan.models.size() > 1 && config.default_model().empty();
  const std::string name = needs_name ? absl::StrCat("\"model\": \"", served->name, "\", ") : "";
  const bool embeds = served->task == model::Task::kEmbedding;
  const char* const fields =
      embeds ? "\"texts\": [\"hello\"], \"as_floats\": true" : "\"inputs\": [{\"text\": \"hello\"}]";
  const bool is_unix = absl::StartsWith(address, "unix:");
  return absl::StrCat("grpcurl ", GrpcurlTransport(config, is_unix), GrpcurlFlags(config), "-d '{", name, fields, "}' ",
                      is_unix ? address.substr(5) : address, " octet.v1.TextEncoder/", embeds ? "Embed" : "Classify");
}

}  // namespace

void PrintReady(const Config& config, const ServePlan& plan, const BoundAddresses& addresses) {
  std::string models;
  for (const PlannedModel& model : plan.models) absl::StrAppend(&models, models.empty() ? "" : ", ", model.name);
  const std::string management =
      addresses.management.empty()
          ? ""
          : absl::StrCat("  management      ", absl::StrJoin(addresses.management, ", "), "\n");
  std::printf(
      "octet is ready\n"
      "  gRPC            %s%s\n"
      "  metrics         %s\n"
      "%s"
      "  models          %s\n"
      "  precision       %s\n"
      "  instruction set %s, %d threads\n"
      "Try:\n"
      "  %s\n",
      absl::StrJoin(addresses.grpc, ", ").c_str(), config.tls().certificate_file().empty() ? "" : " (TLS)",
      addresses.metrics.empty() ? "off" : absl::StrCat("http://", addresses.metrics).c_str(), management.c_str(),
      models.c_str(), config.engine().precision().c_str(), std::string(IsaName(plan.isa)).c_str(), plan.num_threads,
      SampleCall(config, plan, addresses.grpc[0]).c_str());
  std::fflush(stdout);
}

}  // namespace octet::cli
