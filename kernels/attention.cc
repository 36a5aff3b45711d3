#include "kernels/attention.h"

#include "base/check.h"
#include "kernels/attention_kinds.h"
#include "kernels/int8_matmul.h"

namespace octet::kernels {

std::unique_ptr<AttentionInputs> AttentionInputs::Create(AttentionKind kind, const KernelTable& kernels,
                                                         const AttentionShape& shape, size_t max_tokens) {
  if (kind == AttentionKind::kF32) return MakeF32AttentionInputs(kernels, shape, max_tokens);
  OCTET_CHECK(shape.head_dim % 2 == 0);
  return MakeIntegerAttentionInputs(kind, kernels, shape, max_tokens);
}

uint64_t AttentionInputs::Bytes(AttentionKind kind, const KernelTable& kernels, const AttentionShape& shape,
                                size_t max_tokens) {
  return kind == AttentionKind::kF32 ? F32AttentionInputsBytes(shape, max_tokens)
                                     : IntegerAttentionInputsBytes(kind, kernels, shape, max_tokens);
}

size_t AttentionInputs::BlockScratch(const AttentionShape& shape) { return kMaxProductRows * shape.hidden_dim(); }

size_t AttentionInputs::AttendScratch(AttentionKind kind, const AttentionShape& shape, size_t max_text_tokens) {
  return kind == AttentionKind::kF32 ? F32AttendScratch(max_text_tokens) : IntegerAttendScratch(shape, max_text_tokens);
}

}  // namespace octet::kernels
