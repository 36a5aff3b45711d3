// What a worker of the command line computes with: a model, its scratch, and the one place that says what the model
// answers for a text: the embedding that is served, or logits, of the text or of each of its tokens. One per worker, not thread-safe.
#ifndef OCTET_SERVER_CLI_BATCH_RUNNER_H_
#define OCTET_SERVER_CLI_BATCH_RUNNER_H_

#include <cstddef>
#include <memory>
#include <span>

#include "absl/status/status.h"
#include "kernels/thread_team.h"
#include "model/text_model.h"

namespace octet::cli {

class BatchRunner {
 public:
  // Both must outlive it.
  BatchRunner(const model::TextModel* model, kernels::ThreadTeam* team);

  // answers: those of the batch's texts end to end, as Head::Run; not finished. Errors as TextModel::Compute.
  absl::Status Run(const model::PackedBatch& batch, std::span<float> answers);

  // Makes a text's answer of Run what is served. Internal "non-finite output" when it holds NaN or infinity.
  absl::Status Finish(std::span<float> answer) const;

 private:
  const model::TextModel* const model_;
  const std::unique_ptr<model::EncoderWorkspace> workspace_;
  const std::unique_ptr<model::HeadWorkspace> head_workspace_;
};

}  // namespace octet::cli

#endif  // OCTET_SERVER_CLI_BATCH_RUNNER_H_
