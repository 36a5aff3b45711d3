#include "server/cli/serve_tracing.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "server/tracing/otlp_exporter.h"
#include "spdlog/spdlog.h"

namespace octet::cli {

ServeTracing::ServeTracing(const std::optional<TracingSettings>& settings, serving::Metrics* metrics) {
  if (!settings) return;
  const std::string collector = absl::StrCat(settings->otlp.use_tls ? "https://" : "http://", settings->otlp.target);
  processor_.emplace(settings->processor, tracing::MakeOtlpExporter(settings->otlp), metrics, collector);
  tracer_.emplace(settings->sampler(), &*processor_);
  flush_timeout_ = settings->flush_timeout;
  spdlog::info("tracing: {} with ratio {} to {}", settings->sampler_name, settings->ratio, collector);
}

void ServeTracing::Flush() {
  if (processor_) processor_->Stop(flush_timeout_);
}

}  // namespace octet::cli
