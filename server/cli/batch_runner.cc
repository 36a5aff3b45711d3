#include "server/cli/batch_runner.h"

namespace octet::cli {

BatchRunner::BatchRunner(const model::TextModel* model, kernels::ThreadTeam* team)
    : model_(model), workspace_(model->NewWorkspace(team)) {}

absl::Status BatchRunner::Run(const model::PackedBatch& batch, MatrixView<float> answers) {
  return model_->Embed(batch, workspace_.get(), answers);
}

absl::Status BatchRunner::Finish(std::span<float> answer) const {
  if (!model::IsFinite(answer)) return absl::InternalError("non-finite output");
  model::FinishEmbedding(answer, answer.size(), model_->info().normalize);
  return absl::OkStatus();
}

}  // namespace octet::cli
