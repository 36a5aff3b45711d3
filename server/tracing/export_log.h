// What the log says about exporting: that it fails, once and then at most every minute, and that it works again. Used by
// one thread.
#ifndef OCTET_SERVER_TRACING_EXPORT_LOG_H_
#define OCTET_SERVER_TRACING_EXPORT_LOG_H_

#include <cstddef>
#include <string>

#include "base/clock.h"
#include "server/tracing/span.h"

namespace octet::tracing {

class ExportLog {
 public:
  explicit ExportLog(const std::string& collector) : collector_(collector) {}

  void Note(const ExportResult& result, size_t num_spans);

 private:
  const std::string collector_;
  bool is_failing_ = false;
  MonotonicTime next_line_ = absl::ZeroDuration();
};

}  // namespace octet::tracing

#endif  // OCTET_SERVER_TRACING_EXPORT_LOG_H_
