// Scratch memory of forward passes: what crosses row blocks (the residual stream and what attention reads
// of other rows), and each thread's block-sized buffers. One per worker; not thread-safe.
#ifndef OCTET_MODEL_ENCODER_WORKSPACE_H_
#define OCTET_MODEL_ENCODER_WORKSPACE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "base/aligned_buffer.h"
#include "kernels/attention.h"
#include "kernels/linear.h"
#include "kernels/thread_team.h"
#include "model/block_schedule.h"
#include "model/encoder_config.h"
#include "model/linear_plan.h"
#include "model/phase_times.h"
#include "model/range_history.h"
#include "model/value_range.h"

namespace octet::model {

struct EncoderOptions;
struct EncoderState;

// Buffers of one thread for one row block.
struct ThreadScratch {
  explicit ThreadScratch(const EncoderState& encoder);

  // Inputs of layers, up to kMaxBlockRows rows.
  kernels::InputBlock attention_input;  // of query_key_value, then of attention_output
  kernels::InputBlock narrow;           // of intermediate
  kernels::InputBlock wide;             // of output
  kernels::OutputBlock product;
  AlignedBuffer<float> rows;             // [kMaxRowsAtOnce, max(3 * hidden_dim, intermediate_dim)]
  AlignedBuffer<float> block;            // [kMaxBlockRows, hidden_dim]: attention's output, then new keys and values
  AlignedBuffer<float> attention;        // AttentionInputs::AttendScratch
  std::optional<ValueRange> text_range;  // of the inputs being prepared, where a text has one range (TextRangePass)
  ValueRange* seen_ranges = nullptr;     // RangeHistory::seen, where there is a history
  PhaseMeter meter;
};

class EncoderWorkspace {
 public:
  // Touches all of its memory. `team` must outlive it.
  EncoderWorkspace(const EncoderState& encoder, kernels::ThreadTeam* team);

  // Bytes that a workspace of this encoder holds, by arithmetic; no overflow for checked configurations.
  static uint64_t Bytes(const EncoderConfig& config, const EncoderOptions& options);

  // Rows of a block, 1..kMaxBlockRows, instead of the computed number. Results do not depend on it; tests show
  // that. 0 = computed.
  void SetBlockRows(size_t block_rows) { block_rows_ = block_rows; }

  // Shows `observer`, which must outlive its last pass, the input of every linear layer; null: nobody.
  void SetObserver(LinearInputObserver* observer) { observer_ = observer; }

  // Forgets what earlier passes left behind, which only ActivationRange::kMovingAverage does.
  void ForgetHistory();

  // From now on passes are timed phase by phase, from zero.
  void StartProfile();
  // Ticks since then, all threads together.
  PhaseTicks Profile() const;

 private:
  friend class Encoder;
  friend class ForwardPass;
  friend class PassSteps;
  friend class TextRangePass;

  kernels::ThreadTeam* const team_;
  size_t block_rows_ = 0;
  LinearInputObserver* observer_ = nullptr;
  AlignedBuffer<float> x_;  // [max_batch_tokens, hidden_dim]: the residual stream
  // Two take turns: a layer reads one while its successor's is being written.
  std::unique_ptr<kernels::AttentionInputs> attention_inputs_[2];
  AlignedBuffer<float> attended_;  // [max_batch_tokens, hidden_dim]: attention's output, of kPerText alone
  std::vector<std::unique_ptr<ThreadScratch>> threads_;
  std::unique_ptr<RangeHistory> history_;  // of ActivationRange::kMovingAverage
  BlockSchedule schedule_;
};

}  // namespace octet::model

#endif  // OCTET_MODEL_ENCODER_WORKSPACE_H_
