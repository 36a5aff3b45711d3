// Notes a forward pass in the traces of its calls. Thread-safe functions.
#ifndef OCTET_SERVING_BATCH_TRACE_H_
#define OCTET_SERVING_BATCH_TRACE_H_

#include <span>

#include "serving/batch_queue.h"
#include "serving/call_trace.h"

namespace octet::serving {

// Whether a call of the batch has a trace.
bool IsTraced(std::span<const BatchText> texts);

// Adds to the trace of each call: `phase`, of which the times and num_tokens are set, with the numbers and the members
// of `texts`. The texts of a call stand together, as BatchQueue gives them.
void TraceBatch(std::span<const BatchText> texts, BatchPhase phase);

}  // namespace octet::serving

#endif  // OCTET_SERVING_BATCH_TRACE_H_
