// What can be said about a request before any work is done on it. Reads no text, only counts and sizes.
#ifndef OCTET_SERVING_REQUEST_CHECK_H_
#define OCTET_SERVING_REQUEST_CHECK_H_

#include <cstddef>

#include "absl/status/statusor.h"
#include "serving/call.h"
#include "serving/model_repository.h"
#include "serving/request.h"

namespace octet::serving {

struct RequestLimits {
  size_t max_texts_per_call = 0;
  size_t max_text_bytes = 0;
};

// Finds the model and settles what the answer will look like. InvalidArgument, NotFound or (a model with another
// task) FailedPrecondition, each with a reason, messages as pipeline.h lists them: at most 256 bytes, never with names or text in them.
absl::StatusOr<CallPlan> CheckRequest(const Request& request, const RequestLimits& limits,
                                      const ModelRepository& repository);

}  // namespace octet::serving

#endif  // OCTET_SERVING_REQUEST_CHECK_H_
