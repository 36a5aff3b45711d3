// What `octet serve` traces and where to: the `tracing` section of the configuration, completed by OpenTelemetry's
// standard variables.
#ifndef OCTET_SERVER_CLI_TRACING_SETTINGS_H_
#define OCTET_SERVER_CLI_TRACING_SETTINGS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/cli/config_schema.h"
#include "server/tracing/otlp_exporter.h"
#include "server/tracing/sampler.h"
#include "server/tracing/span_processor.h"

namespace octet::cli {

struct TracingSettings {
  std::string sampler_name;
  double ratio = 1;
  tracing::OtlpOptions otlp;
  tracing::ProcessorOptions processor;
  absl::Duration flush_timeout;

  tracing::Sampler sampler() const { return *tracing::Sampler::FromName(sampler_name, ratio); }
  // At the worst moment: a full queue and a batch under way.
  uint64_t MaxBytes() const;
};

// Nothing: tracing is off. Warnings are about variables. InvalidArgument "tracing.KEY: ..." for a key's value, also when
// tracing is off; FailedPrecondition when the CA file cannot be read. `environment`: "NAME=VALUE" entries.
absl::StatusOr<std::optional<TracingSettings>> TracingSettingsOf(const config::v1::Tracing& config,
                                                                 const std::vector<std::string>& environment,
                                                                 std::vector<std::string>* warnings);

}  // namespace octet::cli

#endif  // OCTET_SERVER_CLI_TRACING_SETTINGS_H_
