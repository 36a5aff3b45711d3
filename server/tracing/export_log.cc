#include "server/tracing/export_log.h"

#include "spdlog/spdlog.h"

namespace octet::tracing {
namespace {

constexpr absl::Duration kLineInterval = absl::Minutes(1);
constexpr size_t kMaxMessageBytes = 200;  // the collector's words

}  // namespace

void ExportLog::Note(const ExportResult& result, size_t num_spans) {
  if (result.status.ok() && result.num_rejected == 0) {
    if (is_failing_) spdlog::info("tracing: {} takes spans again", collector_);
    is_failing_ = false;
    next_line_ = absl::ZeroDuration();
    return;
  }
  is_failing_ = true;
  const MonotonicTime now = SteadyClock::Get().Now();
  if (now < next_line_) return;
  next_line_ = now + kLineInterval;
  if (result.status.ok()) {
    spdlog::warn("tracing: {} refused {} of {} spans; its log says why", collector_, result.num_rejected, num_spans);
    return;
  }
  spdlog::warn("tracing: {} does not take spans: {}: {}; calls are served, octet_trace_spans_total counts the spans",
               collector_, absl::StatusCodeToString(result.status.code()),
               std::string(result.status.message().substr(0, kMaxMessageBytes)));
}

}  // namespace octet::tracing
