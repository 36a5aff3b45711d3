// The tracer of `octet serve` and what exports for it; nothing when tracing is off.
#ifndef OCTET_SERVER_CLI_SERVE_TRACING_H_
#define OCTET_SERVER_CLI_SERVE_TRACING_H_

#include <optional>

#include "absl/time/time.h"
#include "server/cli/tracing_settings.h"
#include "server/tracing/span_processor.h"
#include "server/tracing/tracer.h"
#include "serving/metrics.h"

namespace octet::cli {

class ServeTracing {
 public:
  // `metrics` must outlive it.
  ServeTracing(const std::optional<TracingSettings>& settings, serving::Metrics* metrics);

  // Null when tracing is off.
  const tracing::Tracer* tracer() const { return tracer_ ? &*tracer_ : nullptr; }
  // Once no call can end any more.
  void Flush();

 private:
  std::optional<tracing::SpanProcessor> processor_;
  std::optional<tracing::Tracer> tracer_;
  absl::Duration flush_timeout_;
};

}  // namespace octet::cli

#endif  // OCTET_SERVER_CLI_SERVE_TRACING_H_
