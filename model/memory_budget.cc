#include "model/memory_budget.h"

#include <algorithm>
#include <optional>

#include "absl/strings/str_cat.h"
#include "base/checked_math.h"
#include "base/status_macros.h"

namespace octet::model {

absl::StatusOr<uint64_t> PeakBytes(const MemoryUse& use) {
  const std::optional<uint64_t> peak =
      CheckedSum({use.weight_bytes, use.embedding_bytes, std::max(use.arena_bytes, use.load_peak_bytes)});
  if (!peak) return absl::ResourceExhaustedError("model: its size does not fit 64 bits");
  return *peak;
}

absl::Status CheckMemoryLimit(const MemoryUse& use, uint64_t limit_bytes) {
  constexpr uint64_t kMiB = 1 << 20;
  ASSIGN_OR_RETURN(const uint64_t peak, PeakBytes(use));
  if (limit_bytes == 0 || peak <= limit_bytes) return absl::OkStatus();
  // Rounded apart, so that the line never says "needs 90 MiB, limit 90 MiB".
  return absl::ResourceExhaustedError(
      absl::StrCat("model: needs ", peak / kMiB + 1, " MiB, limit ", limit_bytes / kMiB, " MiB"));
}

}  // namespace octet::model
