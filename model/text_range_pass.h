// A forward pass whose activations are quantized with one range a text (ActivationRange::kPerText). A range is known
// only when all rows of the text are, so each step runs over a whole text before the next begins. One thread computes a
// text from beginning to end and needs nobody else's rows. Internal to the encoder's files.
#ifndef OCTET_MODEL_TEXT_RANGE_PASS_H_
#define OCTET_MODEL_TEXT_RANGE_PASS_H_

#include <atomic>
#include <cstddef>

#include "absl/functional/function_ref.h"
#include "model/pass_steps.h"

namespace octet::model {

class TextRangePass {
 public:
  // As ForwardPass.
  TextRangePass(const EncoderState& encoder, const PackedBatch& batch, EncoderWorkspace* workspace);
  void Run();

 private:
  struct Text {
    size_t begin, end;  // rows
  };
  void RunThread(ThreadScratch& scratch);
  void Compute(const Text& text, ThreadScratch& s);
  void Layer(size_t layer_idx, const Text& text, ThreadScratch& s);
  void ForEachBlock(const Text& text, absl::FunctionRef<void(const RowBlock&)> step) const;
  // From here on inputs are quantized with the range of rows(0), rows(1), ..., which are the input of a layer's slot.
  void SetRange(size_t layer_idx, LinearSlot slot, const Text& text, absl::FunctionRef<const float*(size_t)> row,
                ThreadScratch& s);

  const EncoderState& encoder_;
  const PackedBatch& batch_;
  EncoderWorkspace& ws_;
  PassSteps steps_;
  const size_t block_rows_;
  std::atomic<size_t> next_text_{0};
};

}  // namespace octet::model

#endif  // OCTET_MODEL_TEXT_RANGE_PASS_H_
