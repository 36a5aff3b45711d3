#include "server/cli/batch_runner.h"

#include "model/embedding_head.h"

namespace octet::cli {

BatchRunner::BatchRunner(const model::TextModel* model, kernels::ThreadTeam* team)
    : model_(model), workspace_(model->NewWorkspace(team)), head_workspace_(model->head().NewWorkspace()) {}

absl::Status BatchRunner::Run(const model::PackedBatch& batch, std::span<float> answers) {
  return model_->Compute(batch, workspace_.get(), head_workspace_.get(), answers);
}

absl::Status BatchRunner::Finish(std::span<float> answer) const {
  if (!model::IsFinite(answer)) return absl::InternalError("non-finite output");
  if (model_->info().task != model::Task::kEmbedding) return absl::OkStatus();
  model::FinishEmbedding(answer, answer.size(), model_->info().normalize);
  return absl::OkStatus();
}

}  // namespace octet::cli
