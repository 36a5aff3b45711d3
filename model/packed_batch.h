// The input of a forward pass: the token ids of several texts laid end to end, no padding.
#ifndef OCTET_MODEL_PACKED_BATCH_H_
#define OCTET_MODEL_PACKED_BATCH_H_

#include <cstddef>
#include <cstdint>
#include <span>

namespace octet::model {

// Borrowed; the spans must outlive the call. Text t has rows [starts[t], starts[t + 1]).
// Invariants (the caller's duty, checked by Encoder::Forward): starts.front() == 0, starts strictly
// increasing (no text without tokens), starts.back() == ids.size(); every id in [0, vocab_size).
struct PackedBatch {
  std::span<const int32_t> ids;       // [num_tokens]
  std::span<const int32_t> type_ids;  // [num_tokens], or empty: all zero
  std::span<const uint32_t> starts;   // [num_texts + 1]

  size_t num_tokens() const { return ids.size(); }
  size_t num_texts() const { return starts.empty() ? 0 : starts.size() - 1; }
};

}  // namespace octet::model

#endif  // OCTET_MODEL_PACKED_BATCH_H_
