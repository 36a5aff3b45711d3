// The encoder's forward pass over packed rows. Immutable after Load; Forward is thread-safe given one
// workspace per caller.
#ifndef OCTET_MODEL_ENCODER_H_
#define OCTET_MODEL_ENCODER_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/cpu_isa.h"
#include "base/matrix_view.h"
#include "kernels/linear.h"
#include "kernels/thread_team.h"
#include "model/activation_range.h"
#include "model/encoder_config.h"
#include "model/encoder_workspace.h"
#include "model/linear_plan.h"
#include "model/packed_batch.h"
#include "model/precision.h"
#include "model/weights.h"

namespace octet::model {

struct EncoderOptions {
  Precision precision = Precision::kInt8;
  Isa isa = Isa::kScalar;
  size_t max_batch_tokens = 8192;
  int num_threads = 1;
  // How each linear layer computes, one entry for each of the model; null: all in `precision`. Not for directories
  // whose weights are stored quantized, which say so themselves.
  std::shared_ptr<const QuantizationPlan> plan = nullptr;
  // What shares a range when activations are quantized. Others than kPerToken only for models whose int8 layers all
  // have ranges of their rows (kernels::RowRange::kAsymmetric).
  ActivationRange activation_range = ActivationRange::kPerToken;
  double momentum = kDefaultMomentum;  // of kMovingAverage, in [0, 1)
};

struct EncoderState;  // encoder_state.h

class Encoder {
 public:
  // Reads one tensor at a time, quantizes (int8) or converts it and packs it; f32 weights are not kept.
  // `progress` (may be null) is called after each tensor with bytes done.
  static absl::StatusOr<std::unique_ptr<Encoder>> Load(const EncoderConfig& config, Weights* weights,
                                                       const EncoderOptions& options,
                                                       const std::function<void(uint64_t)>& progress);
  ~Encoder();

  const EncoderConfig& config() const;
  const EncoderOptions& options() const;

  // hidden_states: [num_tokens, hidden_dim], f32, the last layer's output, valid until the workspace is
  // used again. InvalidArgument as TextModel::Embed.
  absl::StatusOr<MatrixView<const float>> Forward(const PackedBatch& batch, EncoderWorkspace* workspace) const;

  // Scratch for Forward on `team`, which must outlive it. All of its memory is touched here.
  std::unique_ptr<EncoderWorkspace> NewWorkspace(kernels::ThreadTeam* team) const;

  uint64_t weight_bytes() const;
  uint64_t embedding_bytes() const;
  // Names of the matmul implementations in use, for info and tests ("brg:avx512_core_vnni", ...).
  std::vector<std::string> implementation_names() const;
  // How a linear layer (LinearIdx) takes its input.
  const kernels::InputFormat& input_format(size_t linear_idx) const;

  const kernels::KernelTable& kernels() const;

 private:
  explicit Encoder(std::unique_ptr<EncoderState> state);
  absl::Status CheckBatch(const PackedBatch& batch) const;
  std::unique_ptr<EncoderState> state_;
};

// Bytes an Encoder of this shape will keep and use, by arithmetic alone (checked; ResourceExhausted on
// overflow). Shown at start and compared with the memory limit before anything is read.
struct EncoderMemory {
  uint64_t weight_bytes = 0, embedding_bytes = 0, arena_bytes = 0;
};
absl::StatusOr<EncoderMemory> EstimateEncoderMemory(const EncoderConfig& config, const EncoderOptions& options);

}  // namespace octet::model

#endif  // OCTET_MODEL_ENCODER_H_
