#include "serving/batch_trace.h"

#include <algorithm>
#include <memory>
#include <vector>

namespace octet::serving {

bool IsTraced(std::span<const BatchText> texts) {
  return std::any_of(texts.begin(), texts.end(), [](const BatchText& text) { return text.call->trace() != nullptr; });
}

void TraceBatch(std::span<const BatchText> texts, BatchPhase phase) {
  phase.num_texts = texts.size();
  std::vector<CallTrace*> traces;
  auto members = std::make_shared<std::vector<TraceContext>>();
  const Call* previous = nullptr;
  for (const BatchText& text : texts) {
    if (text.call.get() == previous) continue;
    previous = text.call.get();
    ++phase.num_calls;
    CallTrace* const trace = previous->trace();
    if (trace == nullptr) continue;
    traces.push_back(trace);
    if (!trace->context().sampled) continue;
    ++phase.num_members;
    if (members->size() < CallTrace::kMaxBatchMembers) members->push_back(trace->context());
  }
  phase.members = std::move(members);
  for (CallTrace* trace : traces) trace->AddBatch(phase);
}

}  // namespace octet::serving
