// The methods that octet answers: octet.v1.TextEncoder, the parts of tei.v1 that embed, predict and rerank, and
// inference.GRPCInferenceService. Each turns a Call into a request of the pipeline and the pipeline's answer into bytes; none of them waits.
#ifndef OCTET_SERVER_RPC_SERVICES_H_
#define OCTET_SERVER_RPC_SERVICES_H_

#include <atomic>
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "model/task.h"
#include "server/rpc/parsed_request.h"
#include "server/rpc/rpc_options.h"
#include "server/rpc/transport.h"
#include "serving/metrics.h"
#include "serving/model_repository.h"
#include "serving/pipeline.h"

namespace octet::rpc {

// What handlers share. All pointers outlive the transport that the methods are given to.
struct ServiceContext {
  serving::Pipeline* pipeline = nullptr;
  const serving::ModelRepository* repository = nullptr;
  serving::Metrics* metrics = nullptr;
  const Clock* clock = nullptr;
  const std::atomic<bool>* serving = nullptr;  // whether calls are welcome
  RequestLimits limits;
  std::string server_version;
  size_t max_concurrent_calls = 0;  // for tei.v1.Info
};

// A service by its name in health, and the models that it is of use for.
struct ServiceName {
  std::string name;
  std::optional<model::Task> task;        // absent: any
  std::optional<size_t> num_labels = {};  // likewise
};
std::vector<ServiceName> ServiceNames();
// Whether a model of `repository` is one for the service.
bool IsOffered(const ServiceName& service, const serving::ModelRepository& repository);

// All methods, with handlers that keep a pointer to `context`.
std::vector<Method> MakeMethods(const ServiceContext* context);

}  // namespace octet::rpc

#endif  // OCTET_SERVER_RPC_SERVICES_H_
