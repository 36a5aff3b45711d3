#include "server/rpc/inference/model_statistics.h"

#include <cstdint>

#include "server/rpc/inference/infer_request.h"

namespace octet::rpc {
namespace {

using ::inference::StatisticDuration;

void Set(const serving::CountAndTime& from, StatisticDuration* to) {
  to->set_count(from.count);
  to->set_ns(static_cast<uint64_t>(absl::ToInt64Nanoseconds(from.time)));
}

}  // namespace

::inference::ModelStatistics StatisticsOf(const serving::ServedModel& served, serving::Metrics* metrics) {
  const serving::ModelTotals totals = metrics->TotalsOf(served.name);
  ::inference::ModelStatistics statistics;
  statistics.set_name(served.name);
  statistics.set_version(kModelVersion);
  statistics.set_inference_count(totals.texts);
  statistics.set_execution_count(totals.batches);
  ::inference::InferStatistics& calls = *statistics.mutable_inference_stats();
  Set({.count = totals.inference.count, .time = totals.tokenize.time + totals.queue.time + totals.inference.time},
      calls.mutable_success());
  Set(totals.failed, calls.mutable_fail());
  Set(totals.queue, calls.mutable_queue());
  Set(totals.tokenize, calls.mutable_compute_input());
  Set(totals.inference, calls.mutable_compute_infer());
  Set({.count = totals.inference.count, .time = absl::ZeroDuration()}, calls.mutable_compute_output());
  const model::MemoryUse& memory = served.model->memory();
  ::inference::MemoryUsage& usage = *statistics.add_memory_usage();
  usage.set_type("CPU");
  usage.set_byte_size(memory.weight_bytes + memory.embedding_bytes + memory.arena_bytes);
  return statistics;
}

}  // namespace octet::rpc
