// The kinds of attention, for attention.cc. Internal to this folder.
#ifndef OCTET_KERNELS_ATTENTION_KINDS_H_
#define OCTET_KERNELS_ATTENTION_KINDS_H_

#include "kernels/attention.h"

namespace octet::kernels {

// Elements between rows of transposed keys: 16 past a multiple of the page-sized power of two that a round batch size
// would give, so that the same position of all rows does not fall into one cache set.
inline size_t KeyStride(size_t max_tokens) { return (max_tokens + 15) / 16 * 16 + 16; }

std::unique_ptr<AttentionInputs> MakeF32AttentionInputs(const KernelTable& kernels, const AttentionShape& shape,
                                                        size_t max_tokens);
std::unique_ptr<AttentionInputs> MakeIntegerAttentionInputs(AttentionKind kind, const KernelTable& kernels,
                                                            const AttentionShape& shape, size_t max_tokens);

// Of AttentionInputs::Bytes and AttendScratch.
uint64_t F32AttentionInputsBytes(const AttentionShape& shape, size_t max_tokens);
uint64_t IntegerAttentionInputsBytes(AttentionKind kind, const KernelTable& kernels, const AttentionShape& shape,
                                     size_t max_tokens);
size_t F32AttendScratch(size_t max_text_tokens);
size_t IntegerAttendScratch(const AttentionShape& shape, size_t max_text_tokens);

}  // namespace octet::kernels

#endif  // OCTET_KERNELS_ATTENTION_KINDS_H_
