// The setting metrics.duration_buckets: upper edges of the histograms of call durations.
#ifndef OCTET_SERVER_CLI_DURATION_BUCKETS_H_
#define OCTET_SERVER_CLI_DURATION_BUCKETS_H_

#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace octet::cli {

// "0.01,0.1,1": seconds. InvalidArgument unless there are 1 to 64 of them, finite, above 0 and ascending.
absl::StatusOr<std::vector<double>> ParseDurationBuckets(absl::string_view text);

}  // namespace octet::cli

#endif  // OCTET_SERVER_CLI_DURATION_BUCKETS_H_
