// What the Open Inference Protocol says about the server and its models: names, versions, tensors. Thread-safe
// functions.
#ifndef OCTET_SERVER_RPC_INFERENCE_MODEL_METADATA_H_
#define OCTET_SERVER_RPC_INFERENCE_MODEL_METADATA_H_

#include <string>

#include "inference/inference.pb.h"
#include "serving/model_repository.h"
#include "serving/pipeline.h"

namespace octet::rpc {

::inference::ServerMetadataResponse DescribeServer(const std::string& version);
::inference::ModelMetadataResponse DescribeModel(const serving::ServedModel& served);
// For clients that plan batches: dimensions without the batch's, and how many texts a call may have.
::inference::ModelConfigResponse ConfigOf(const serving::ServedModel& served, const serving::PipelineOptions& pipeline);
// `is_ready`: whether calls are welcome.
::inference::RepositoryIndexResponse IndexOf(const serving::ModelRepository& repository, bool is_ready,
                                             const ::inference::RepositoryIndexRequest& request);

}  // namespace octet::rpc

#endif  // OCTET_SERVER_RPC_INFERENCE_MODEL_METADATA_H_
