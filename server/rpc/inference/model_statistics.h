// ModelStatistics from the counters that /metrics shows: the same numbers in Triton's words, in ns since start, over
// all services. Thread-safe functions.
#ifndef OCTET_SERVER_RPC_INFERENCE_MODEL_STATISTICS_H_
#define OCTET_SERVER_RPC_INFERENCE_MODEL_STATISTICS_H_

#include "inference/inference.pb.h"
#include "serving/metrics.h"
#include "serving/model_repository.h"

namespace octet::rpc {

// success is what calls took from arrival to the end of compute; fail what failed calls took from arrival to answer;
// compute_input is tokenizing. A call is counted once, whatever its texts: in inference_count each of these counts.
::inference::ModelStatistics StatisticsOf(const serving::ServedModel& served, serving::Metrics* metrics);

}  // namespace octet::rpc

#endif  // OCTET_SERVER_RPC_INFERENCE_MODEL_STATISTICS_H_
