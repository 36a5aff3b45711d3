// "/" of the metrics port: what one process serves and how it fares, as one HTML page that needs nothing else. For
// people; programs read /metrics. A pure function.
#ifndef OCTET_SERVER_STATUS_STATUS_PAGE_H_
#define OCTET_SERVER_STATUS_STATUS_PAGE_H_

#include <string>
#include <vector>

#include "absl/time/time.h"
#include "prometheus/metric_family.h"
#include "server/status/recent_errors.h"
#include "server/status/traffic.h"

namespace octet::status {

struct StatusFacts {
  std::string state;  // "ready", or why not
  absl::Time now;
  std::vector<prometheus::MetricFamily> families;  // all of octet's
  MonotonicTime at;                                // when `families` were read
  Traffic earlier;                                 // what is shown as traffic came since then
  std::vector<RecentError> errors;                 // the newest first
};

std::string StatusPage(const StatusFacts& facts);

}  // namespace octet::status

#endif  // OCTET_SERVER_STATUS_STATUS_PAGE_H_
