#include "server/rpc/inference/model_metadata.h"

#include <algorithm>
#include <cstdint>

#include "server/rpc/inference/infer_request.h"
#include "server/rpc/inference/tensors.h"

namespace octet::rpc {
namespace {

using ::inference::DataType;

constexpr char kPlatform[] = "octet";
// Triton's extensions that mean the same here.
constexpr const char* kExtensions[] = {"model_configuration", "parameters", "statistics"};

DataType DataTypeOf(absl::string_view datatype) {
  if (datatype == kBytes) return DataType::TYPE_STRING;
  return datatype == kInt64 ? DataType::TYPE_INT64 : DataType::TYPE_FP32;
}

void Describe(const TensorSpec& spec, ::inference::ModelMetadataResponse::TensorMetadata* tensor) {
  tensor->set_name(spec.name);
  tensor->set_datatype(spec.datatype);
  for (const int64_t dimension : spec.shape) tensor->add_shape(dimension);
}

// ModelInput or ModelOutput.
template <typename Tensor>
void Configure(const TensorSpec& spec, Tensor* tensor) {
  tensor->set_name(spec.name);
  tensor->set_data_type(DataTypeOf(spec.datatype));
  for (size_t i = 1; i < spec.shape.size(); ++i) tensor->add_dims(spec.shape[i]);
}

}  // namespace

::inference::ServerMetadataResponse DescribeServer(const std::string& version) {
  ::inference::ServerMetadataResponse response;
  response.set_name(kPlatform);
  response.set_version(version);
  for (const char* const extension : kExtensions) response.add_extensions(extension);
  return response;
}

::inference::ModelMetadataResponse DescribeModel(const serving::ServedModel& served) {
  const model::ModelInfo& info = served.model->info();
  ::inference::ModelMetadataResponse response;
  response.set_name(served.name);
  response.add_versions(kModelVersion);
  response.set_platform(kPlatform);
  for (const TensorSpec& spec : InputTensors(info)) Describe(spec, response.add_inputs());
  for (const TensorSpec& spec : OutputTensors(info)) Describe(spec, response.add_outputs());
  return response;
}

::inference::ModelConfigResponse ConfigOf(const serving::ServedModel& served,
                                          const serving::PipelineOptions& pipeline) {
  const model::ModelInfo& info = served.model->info();
  ::inference::ModelConfigResponse response;
  ::inference::ModelConfig& config = *response.mutable_config();
  config.set_name(served.name);
  config.set_platform(kPlatform);
  config.set_backend(kPlatform);
  config.set_max_batch_size(static_cast<int32_t>(std::min<size_t>(pipeline.max_texts_per_call, INT32_MAX)));
  for (const TensorSpec& spec : InputTensors(info)) {
    ::inference::ModelInput& input = *config.add_input();
    Configure(spec, &input);
    input.set_optional(true);  // a call gives text or input_ids
  }
  for (const TensorSpec& spec : OutputTensors(info)) Configure(spec, config.add_output());
  config.mutable_dynamic_batching()->set_max_queue_delay_microseconds(
      static_cast<uint64_t>(absl::ToInt64Microseconds(pipeline.max_batch_delay)));
  return response;
}

::inference::RepositoryIndexResponse IndexOf(const serving::ModelRepository& repository, bool is_ready,
                                             const ::inference::RepositoryIndexRequest& request) {
  ::inference::RepositoryIndexResponse response;
  if (request.ready() && !is_ready) return response;
  for (const auto& served : repository.List()) {
    auto& model = *response.add_models();
    model.set_name(served->name);
    model.set_version(kModelVersion);
    model.set_state(is_ready ? "READY" : "UNAVAILABLE");
    if (!is_ready) model.set_reason("the server is starting or draining");
  }
  return response;
}

}  // namespace octet::rpc
