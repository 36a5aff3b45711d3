#include "server/cli/duration_buckets.h"

#include <cmath>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "server/cli/config_schema.h"

namespace octet::cli {
namespace {

// Each edge is a series for every method, model and code.
constexpr size_t kMaxEdges = 64;

}  // namespace

absl::StatusOr<std::vector<double>> ParseDurationBuckets(absl::string_view text) {
  std::vector<double> edges;
  for (const absl::string_view part : absl::StrSplit(text, ',')) {
    double edge = 0;
    const bool is_number = absl::SimpleAtod(part, &edge) && std::isfinite(edge);
    if (!is_number || edge <= (edges.empty() ? 0 : edges.back()) || edges.size() == kMaxEdges) {
      return absl::InvalidArgumentError(absl::StrCat("want at most ", kMaxEdges,
                                                     " ascending seconds such as 0.01,0.1,1, got ", Quoted(text),
                                                     " with ", Quoted(part)));
    }
    edges.push_back(edge);
  }
  return edges;
}

}  // namespace octet::cli
