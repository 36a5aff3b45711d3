// Which texts are computed a second time, and how far two answers to the same text are apart. Pure functions;
// thread-safe.
#ifndef OCTET_SERVING_SHADOW_COMPARE_H_
#define OCTET_SERVING_SHADOW_COMPARE_H_

#include <cstdint>
#include <span>

#include "model/predictions.h"

namespace octet::serving {

// Whether the text is among the `share` (0..1) that is taken: its hash, as a number in [0, 1), is below the share. So
// every replica, and every later run, takes the same texts, and a larger share takes all of a smaller one's. The hash:
// FNV-1a with 64 bits over the ids as 32-bit words, then MurmurHash3's 64-bit finalizer, since FNV's high bits hardly
// depend on the last ids. Sources: Fowler, Noll, Vo, draft-eastlake-fnv; Appleby, MurmurHash3 (fmix64).
bool IsSampled(std::span<const int32_t> ids, double share);

// 1 - cosine, 0..2, in f64 from vectors brought to length 1, so that small distances keep their digits. Two vectors of
// zeros are 0 apart, one of them and any other 1. NaN when a value is not finite. Equal sizes.
double CosineDistance(std::span<const float> a, std::span<const float> b);

// Whether a caller who gets `options` would read another set of labels from `served` logits than from `reference`'s:
// the labels that pass thresholds and top_k. Options that leave nothing out are read as is usual: the best label with
// softmax, those of at least 0.5 with sigmoid; raw scores decide nothing. Equal sizes, of all labels.
bool IsLabelFlip(std::span<const float> served, std::span<const float> reference,
                 const model::PredictionOptions& options);

}  // namespace octet::serving

#endif  // OCTET_SERVING_SHADOW_COMPARE_H_
