#include "model/forward_pass.h"

#include "model/encoder_state.h"
#include "model/encoder_workspace.h"

namespace octet::model {

ForwardPass::ForwardPass(const EncoderState& encoder, const PackedBatch& batch, EncoderWorkspace* workspace)
    : encoder_(encoder), batch_(batch), ws_(*workspace), steps_(encoder, batch, workspace) {}

void ForwardPass::Run() {
  ws_.schedule_.Plan(batch_.starts, encoder_.layers.size() + 1, static_cast<size_t>(ws_.team_->num_threads()),
                     ws_.block_rows_);
  const auto body = [this](int thread_idx) { RunThread(*ws_.threads_[thread_idx]); };
  // One block is one thread's work; waking the others for every layer would take longer than the layer.
  if (ws_.schedule_.num_blocks() == 1) {
    ws_.team_->RunAlone(body);
  } else {
    ws_.team_->Run(body);
  }
  if (ws_.history_ != nullptr) ws_.history_->EndBatch();
}

// Phase p computes layer p - 1 (phase 0: the embeddings) and the attention input of layer p.
void ForwardPass::RunThread(ThreadScratch& scratch) {
  const size_t num_layers = encoder_.layers.size();
  scratch.meter.Begin(Phase::kSynchronize);
  while (const auto step = ws_.schedule_.Next()) {
    if (step->phase == 0) {
      steps_.Embed(step->rows, scratch);
    } else {
      steps_.Attend(step->phase - 1, step->rows, scratch);
      steps_.AttentionOutput(step->phase - 1, step->rows, scratch);
      steps_.FeedForward(step->phase - 1, step->rows, scratch);
    }
    if (step->phase < num_layers) steps_.PrepareAttention(step->phase, step->rows, scratch);
    scratch.meter.Enter(Phase::kSynchronize);
    ws_.schedule_.Finish(*step);
    ws_.team_->Pace();
  }
}

}  // namespace octet::model
