#include "serving/batch_policy.h"

#include <algorithm>

namespace octet::serving {
namespace {

// The share of a batch that the oldest call may take before the others have had a turn.
constexpr size_t kOldestShare = 4;

// The models with live calls in the order of their turns: keys above the last one's first, then the rest,
// each ascending.
std::vector<uint64_t> ModelTurns(std::span<const WaitingCall> queue, const std::vector<size_t>& live, uint64_t last) {
  std::vector<uint64_t> keys;
  for (const size_t idx : live) {
    const uint64_t key = queue[idx].model_key;
    if (std::find(keys.begin(), keys.end(), key) == keys.end()) keys.push_back(key);
  }
  std::sort(keys.begin(), keys.end());
  std::rotate(keys.begin(), std::upper_bound(keys.begin(), keys.end(), last), keys.end());
  return keys;
}

// Fills one batch from the calls of one model.
class Filler {
 public:
  Filler(const BatchPolicyOptions& options, std::span<const WaitingCall> queue)
      : queue_(queue), max_tokens_(options.max_batch_tokens), max_texts_(options.max_batch_texts) {}

  // Takes the call's next text if it fits; the first text of a batch always does.
  bool TakeText(BatchPart* part) {
    const auto& text_tokens = queue_[part->call_idx].text_tokens;
    if (part->num_texts == text_tokens.size() || texts_ >= max_texts_) return false;
    const size_t tokens = text_tokens[part->num_texts];
    if (texts_ > 0 && tokens_ + tokens > max_tokens_) return false;
    tokens_ += tokens;
    ++texts_;
    ++part->num_texts;
    return true;
  }

  std::vector<BatchPart> Fill(const std::vector<size_t>& calls) {
    std::vector<BatchPart> parts;
    parts.reserve(std::min(calls.size(), max_texts_));
    for (const size_t idx : calls) {
      if (texts_ >= max_texts_ || tokens_ >= max_tokens_) break;
      BatchPart part = {.call_idx = idx};
      bool took = TakeText(&part);
      if (idx == calls.front()) {
        while (took && tokens_ < max_tokens_ / kOldestShare && texts_ < max_texts_ / kOldestShare) {
          took = TakeText(&part);
        }
      }
      if (part.num_texts > 0) parts.push_back(part);
    }
    FillRounds(&parts);
    return parts;
  }

 private:
  // Goes round the calls that are in the batch until none can give another text.
  void FillRounds(std::vector<BatchPart>* parts) {
    std::vector<size_t> going(parts->size());
    for (size_t i = 0; i < going.size(); ++i) going[i] = i;
    while (!going.empty() && texts_ < max_texts_ && tokens_ < max_tokens_) {
      std::erase_if(going, [&](size_t i) { return !TakeText(&(*parts)[i]); });
    }
  }

  const std::span<const WaitingCall> queue_;
  const size_t max_tokens_, max_texts_;
  size_t tokens_ = 0, texts_ = 0;
};

// Whether the waiting texts of these calls would fill a batch.
bool FillsBatch(const BatchPolicyOptions& options, std::span<const WaitingCall> queue,
                const std::vector<size_t>& calls) {
  size_t tokens = 0, texts = 0;
  for (const size_t idx : calls) {
    texts += queue[idx].text_tokens.size();
    for (const uint32_t count : queue[idx].text_tokens) tokens += count;
    if (tokens >= options.max_batch_tokens || texts >= options.max_batch_texts) return true;
  }
  return false;
}

}  // namespace

BatchCut CutBatch(const BatchPolicyOptions& options, std::span<const WaitingCall> queue, MonotonicTime now,
                  uint64_t last_model_key) {
  BatchCut cut;
  std::vector<size_t> live;
  live.reserve(queue.size());
  for (size_t i = 0; i < queue.size(); ++i) {
    if (queue[i].cancelled) {
      cut.cancelled.push_back(i);
    } else if (queue[i].deadline <= now) {
      cut.expired.push_back(i);
    } else {
      live.push_back(i);
    }
  }
  if (live.empty()) return cut;

  std::vector<size_t> calls;
  for (const uint64_t key : ModelTurns(queue, live, last_model_key)) {
    calls.clear();
    for (const size_t idx : live) {
      if (queue[idx].model_key == key) calls.push_back(idx);
    }
    const MonotonicTime ready = queue[calls.front()].enqueued + options.max_batch_delay;
    if (ready <= now || FillsBatch(options, queue, calls)) {
      cut.model_key = key;
      cut.wait_until.reset();
      cut.parts = Filler(options, queue).Fill(calls);
      break;
    }
    cut.wait_until = std::min(ready, cut.wait_until.value_or(ready));
  }
  return cut;
}

}  // namespace octet::serving
