// One forward pass over packed rows, in blocks. All work on a block of rows between two layers' attentions is done by
// one thread while the block is in its cache: attention, its output layer, the feed-forward layers, and the next
// layer's query, key and value. Threads wait for each other only where attention reads other blocks' keys and values
// (block_schedule.h). Internal to the encoder's files.
#ifndef OCTET_MODEL_FORWARD_PASS_H_
#define OCTET_MODEL_FORWARD_PASS_H_

#include "model/pass_steps.h"

namespace octet::model {

class ForwardPass {
 public:
  // All of them must outlive the pass. `batch`: checked.
  ForwardPass(const EncoderState& encoder, const PackedBatch& batch, EncoderWorkspace* workspace);

  // Leaves the last layer's output in the workspace's residual stream.
  void Run();

 private:
  void RunThread(ThreadScratch& scratch);

  const EncoderState& encoder_;
  const PackedBatch& batch_;
  EncoderWorkspace& ws_;
  PassSteps steps_;
};

}  // namespace octet::model

#endif  // OCTET_MODEL_FORWARD_PASS_H_
