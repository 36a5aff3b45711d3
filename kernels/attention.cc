#include "kernels/attention.h"

#include "base/check.h"
#include "kernels/attention_kinds.h"
#include "kernels/int8_matmul.h"

namespace octet::kernels {

std::unique_ptr<KeysAndValues> KeysAndValues::Create(AttentionKind kind, const KernelTable& kernels,
                                                     const AttentionShape& shape, size_t max_tokens) {
  if (kind == AttentionKind::kF32) return MakeF32KeysAndValues(kernels, shape, max_tokens);
  OCTET_CHECK(shape.head_dim % 2 == 0);
  return MakeS16KeysAndValues(kernels, shape, max_tokens);
}

uint64_t KeysAndValues::Bytes(AttentionKind kind, const AttentionShape& shape, size_t max_tokens) {
  return kind == AttentionKind::kF32 ? F32KeysAndValuesBytes(shape, max_tokens)
                                     : S16KeysAndValuesBytes(shape, max_tokens);
}

size_t KeysAndValues::BlockScratch(const AttentionShape& shape) { return kMaxProductRows * shape.hidden_dim(); }

size_t KeysAndValues::AttendScratch(AttentionKind kind, const AttentionShape& shape, size_t max_text_tokens,
                                    size_t max_queries) {
  return kind == AttentionKind::kF32 ? F32AttendScratch(max_text_tokens)
                                     : S16AttendScratch(shape, max_text_tokens, max_queries);
}

}  // namespace octet::kernels
