#include "server/cli/tracing_settings.h"

#include <unistd.h>

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/strip.h"
#include "base/status_macros.h"
#include "base/trace_context.h"
#include "server/cli/build_info.h"
#include "server/cli/config.h"
#include "server/cli/otel_environment.h"
#include "server/security/listen_address.h"
#include "server/security/small_file.h"

namespace octet::cli {
namespace {

constexpr char kDefaultSampler[] = "parentbased_traceidratio";
constexpr int kDefaultPort = 4317;  // of OTLP/gRPC
constexpr uint64_t kDefaultTimeoutMs = 10000;
// A record of one span with the longest tracestate is below this; so is a span being encoded, links included.
constexpr uint64_t kSpanBytes = 1024;

absl::Status CheckTracing(const config::v1::Tracing& config) {
  if (config.ratio() != -1 && !(config.ratio() >= 0 && config.ratio() <= 1)) {
    return absl::InvalidArgumentError(absl::StrCat("tracing.ratio: ", config.ratio(), ", want 0 to 1, or -1"));
  }
  if (config.max_batch_spans() > config.max_queue_spans()) {
    return absl::InvalidArgumentError(
        absl::StrCat("tracing.max_batch_spans: ", config.max_batch_spans(),
                     ", want at most tracing.max_queue_spans = ", config.max_queue_spans()));
  }
  return absl::OkStatus();
}

// Sets target and use_tls.
absl::Status ReadEndpoint(absl::string_view endpoint, bool is_insecure, tracing::OtlpOptions* otlp) {
  absl::string_view rest = endpoint;
  if (absl::ConsumePrefix(&rest, "http://")) {
    otlp->use_tls = false;
  } else if (absl::ConsumePrefix(&rest, "https://")) {
    otlp->use_tls = true;
  } else {
    otlp->use_tls = !is_insecure;
  }
  absl::ConsumeSuffix(&rest, "/");
  const bool has_port = absl::StrContains(rest.substr(std::min(rest.size(), rest.rfind(']') + 1)), ":");
  otlp->target = has_port ? std::string(rest) : absl::StrCat(rest, ":", kDefaultPort);
  const auto parsed = security::ParseHostPort(otlp->target);
  if (rest.empty() || rest[0] == ':' || !parsed.ok() || parsed->port == 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("want http://HOST:PORT, https://HOST:PORT or HOST:PORT, got ", Quoted(endpoint)));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> ReadCaFile(const std::string& path) {
  const security::NamedFile file = {"tracing.ca_file", path};
  auto contents = security::ReadTogether({&file, 1});
  if (!contents.ok() || !absl::StrContains(contents->front(), "-----BEGIN CERTIFICATE-----")) {
    return absl::FailedPreconditionError(
        absl::StrCat("tracing.ca_file: ", path, " cannot be read, is above 1 MiB, or has no PEM certificate"));
  }
  return std::move(contents->front());
}

std::string RandomUuid() {
  const TraceId id = NewTraceId();
  // Version 4, variant 1 (RFC 9562).
  return absl::StrFormat("%08x-%04x-4%03x-%04x-%012x", id.high >> 32, id.high >> 16 & 0xffff, id.high & 0xfff,
                         (id.low >> 48 & 0x3fff) | 0x8000, id.low & 0xffffffffffff);
}

std::string HostName() {
  char name[256] = "";
  return gethostname(name, sizeof(name) - 1) == 0 ? name : "";
}

// Those of the environment, and ours where they say nothing.
tracing::ResourceAttributes ResourceOf(const OtelEnvironment& otel) {
  tracing::ResourceAttributes resource = otel.resource;
  const std::string version = GetBuildInfo().version;
  const std::pair<std::string, std::string> own[] = {
      {"service.name", "octet"},         {"service.version", version},    {"service.instance.id", RandomUuid()},
      {"host.name", HostName()},         {"telemetry.sdk.name", "octet"}, {"telemetry.sdk.language", "cpp"},
      {"telemetry.sdk.version", version}};
  for (const auto& attribute : own) {
    const bool is_set = std::any_of(resource.begin(), resource.end(),
                                    [&](const auto& other) { return other.first == attribute.first; });
    if (!is_set && !attribute.second.empty()) resource.push_back(attribute);
  }
  return resource;
}

tracing::ProcessorOptions ProcessorOptionsOf(const config::v1::Tracing& config, const OtelEnvironment& otel) {
  tracing::ProcessorOptions options;
  options.max_queue_spans = config.max_queue_spans();
  options.max_batch_spans = config.max_batch_spans();
  options.export_interval = absl::Milliseconds(config.export_interval_ms());
  options.timeout =
      absl::Milliseconds(config.timeout_ms() != 0 ? config.timeout_ms() : otel.timeout_ms.value_or(kDefaultTimeoutMs));
  return options;
}

}  // namespace

uint64_t TracingSettings::MaxBytes() const {
  // The batch exists as spans and as a message.
  return (processor.max_queue_spans + 2 * processor.max_batch_spans) * kSpanBytes;
}

absl::StatusOr<std::optional<TracingSettings>> TracingSettingsOf(const config::v1::Tracing& config,
                                                                 const std::vector<std::string>& environment,
                                                                 std::vector<std::string>* warnings) {
  RETURN_IF_ERROR(CheckTracing(config));
  const OtelEnvironment otel = ReadOtelEnvironment(environment);
  const std::string endpoint = config.endpoint().empty() ? otel.endpoint : config.endpoint();
  TracingSettings settings;
  if (!endpoint.empty()) {
    const absl::Status status = ReadEndpoint(endpoint, config.insecure() || otel.is_insecure, &settings.otlp);
    if (!status.ok() && !config.endpoint().empty()) {
      return absl::InvalidArgumentError(absl::StrCat("tracing.endpoint: ", status.message()));
    }
    if (!status.ok()) {
      warnings->push_back(absl::StrCat("OTEL_EXPORTER_OTLP_ENDPOINT: ", status.message(), "; tracing is off"));
      return std::nullopt;
    }
  }
  if (endpoint.empty() || otel.is_disabled) {
    if (!config.endpoint().empty()) {
      warnings->push_back(
          "tracing.endpoint: set, but OTEL_SDK_DISABLED=true or OTEL_TRACES_EXPORTER=none: tracing is off");
    }
    return std::nullopt;
  }
  warnings->insert(warnings->end(), otel.warnings.begin(), otel.warnings.end());
  settings.sampler_name = !config.sampler().empty() ? config.sampler()
                          : otel.sampler.empty()    ? kDefaultSampler
                                                    : otel.sampler;
  settings.ratio = config.ratio() != -1 ? config.ratio() : otel.ratio.value_or(1);
  const std::string ca_file = config.ca_file().empty() ? otel.ca_file : config.ca_file();
  if (settings.otlp.use_tls && !ca_file.empty()) {
    ASSIGN_OR_RETURN(settings.otlp.ca_certificates, ReadCaFile(ca_file));
  }
  settings.otlp.headers = otel.headers;
  settings.otlp.resource = ResourceOf(otel);
  settings.otlp.version = GetBuildInfo().version;
  settings.processor = ProcessorOptionsOf(config, otel);
  settings.flush_timeout = absl::Milliseconds(config.flush_timeout_ms());
  return settings;
}

}  // namespace octet::cli
