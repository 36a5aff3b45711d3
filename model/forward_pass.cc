#include "model/forward_pass.h"

#include <algorithm>
#include <atomic>

#include "model/encoder_state.h"
#include "model/encoder_workspace.h"

namespace octet::model {
namespace {

using kernels::kMaxBlockRows;

// As large as caches allow, but enough blocks that every thread gets the same number, all of nearly one size.
size_t BlockRows(size_t num_tokens, int num_threads) {
  const auto threads = static_cast<size_t>(num_threads);
  const size_t blocks_per_thread = (num_tokens + threads * kMaxBlockRows - 1) / (threads * kMaxBlockRows);
  const size_t blocks = threads * blocks_per_thread;
  return (num_tokens + blocks - 1) / blocks;
}

}  // namespace

ForwardPass::ForwardPass(const EncoderState& encoder, const PackedBatch& batch, EncoderWorkspace* workspace)
    : encoder_(encoder),
      batch_(batch),
      ws_(*workspace),
      steps_(encoder, batch, workspace),
      block_rows_(ws_.block_rows_ != 0 ? ws_.block_rows_ : BlockRows(batch.num_tokens(), ws_.team_->num_threads())),
      num_blocks_((batch.num_tokens() + block_rows_ - 1) / block_rows_) {}

void ForwardPass::Run() {
  for (auto& next : ws_.next_block_) next.store(0, std::memory_order_relaxed);
  const auto body = [this](int thread_idx) { RunThread(*ws_.threads_[thread_idx]); };
  // One block is one thread's work; waking the others for every layer would take longer than the layer.
  if (num_blocks_ == 1) {
    ws_.team_->RunAlone(body);
  } else {
    ws_.team_->Run(body);
  }
  if (ws_.history_ != nullptr) ws_.history_->EndBatch();
}

// Phase p computes layer p - 1 (phase 0: the embeddings) and the attention input of layer p.
void ForwardPass::RunThread(ThreadScratch& scratch) {
  const size_t num_layers = encoder_.layers.size();
  scratch.meter.Begin(Phase::kEmbed);
  for (size_t phase = 0; phase <= num_layers; ++phase) {
    for (;;) {
      const size_t block_idx = ws_.next_block_[phase].fetch_add(1, std::memory_order_relaxed);
      if (block_idx >= num_blocks_) break;
      const size_t begin = block_idx * block_rows_;
      const RowBlock block{begin, std::min(block_rows_, batch_.num_tokens() - begin)};
      if (phase == 0) {
        steps_.Embed(block, scratch);
      } else {
        steps_.Attend(phase - 1, block, scratch);
        steps_.AttentionOutput(phase - 1, block, scratch);
        steps_.FeedForward(phase - 1, block, scratch);
      }
      if (phase < num_layers) steps_.PrepareAttention(phase, block, scratch);
      scratch.meter.Enter(Phase::kSynchronize);
      ws_.team_->Pace();
    }
    scratch.meter.Enter(Phase::kSynchronize);
    if (phase < num_layers && num_blocks_ > 1) ws_.team_->Barrier();
  }
}

}  // namespace octet::model
