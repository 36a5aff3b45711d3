#include "server/rpc/services.h"

#include <algorithm>
#include <utility>

#include "server/rpc/service_calls.h"

namespace octet::rpc {

std::vector<ServiceName> ServiceNames() {
  return {
      {"octet.v1.TextEncoder", std::nullopt},
      {"inference.GRPCInferenceService", std::nullopt},
      {"tei.v1.Info", std::nullopt},
      {"tei.v1.Embed", model::Task::kEmbedding},
      {"tei.v1.Predict", model::Task::kClassification},
      {"tei.v1.Rerank", model::Task::kClassification, /*num_labels=*/1},
  };
}

bool IsOffered(const ServiceName& service, const serving::ModelRepository& repository) {
  if (!service.task) return true;
  const auto models = repository.List();
  return std::any_of(models.begin(), models.end(), [&](const auto& served) {
    const model::ModelInfo& info = served->model->info();
    return info.task == *service.task && (!service.num_labels || info.labels.size() == *service.num_labels);
  });
}

std::vector<Method> MakeMethods(const ServiceContext* context) {
  std::vector<Method> methods = MakeTextEncoderMethods(context);
  for (Method& method : MakeTeiMethods(context)) methods.push_back(std::move(method));
  for (Method& method : MakeInferenceMethods(context)) methods.push_back(std::move(method));
  return methods;
}

}  // namespace octet::rpc
