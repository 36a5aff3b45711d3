// How much memory a model takes, by arithmetic alone, and whether that fits. Asked before any weight is
// read, so that a model that is too large ends with one line and not with the kernel's out-of-memory kill.
#ifndef OCTET_MODEL_MEMORY_BUDGET_H_
#define OCTET_MODEL_MEMORY_BUDGET_H_

#include <cstdint>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace octet::model {

// Bytes, by what holds them.
struct MemoryUse {
  uint64_t weight_bytes = 0;     // packed linear layers, scales, biases, norms
  uint64_t embedding_bytes = 0;  // embedding tables
  uint64_t arena_bytes = 0;      // scratch of one workspace
  uint64_t load_peak_bytes = 0;  // the most that loading holds beyond weights and embeddings
  uint64_t total() const { return weight_bytes + embedding_bytes + arena_bytes; }
};

// What packing one tensor holds beyond its f32 copy: read chunk, quantized copy in flight, name tables.
inline constexpr uint64_t kLoadScratchBytes = 16 << 20;

// The most that the process will hold for the model: loading and serving do not overlap, so that arenas
// and load peak do not add up. ResourceExhausted when it does not fit 64 bits.
absl::StatusOr<uint64_t> PeakBytes(const MemoryUse& use);

// ResourceExhausted "model: needs N MiB, limit M MiB" when PeakBytes(use) passes `limit_bytes`; 0 = no
// limit.
absl::Status CheckMemoryLimit(const MemoryUse& use, uint64_t limit_bytes);

}  // namespace octet::model

#endif  // OCTET_MODEL_MEMORY_BUDGET_H_
