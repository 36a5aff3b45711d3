// A logit per label from every token's own row: logits = W_c h + b_c, special tokens included (Devlin et al. 2019,
// section 5.3; `transformers`: BertForTokenClassification, which has no pooler). In f32 whatever the encoder's
// precision. Each sum has the order of its row's values, so a token's logits depend on nothing but its row.
#ifndef OCTET_MODEL_TOKEN_CLASSIFICATION_HEAD_H_
#define OCTET_MODEL_TOKEN_CLASSIFICATION_HEAD_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "absl/status/statusor.h"
#include "base/cpu_isa.h"
#include "kernels/linear.h"
#include "model/encoder_config.h"
#include "model/head.h"
#include "model/weights.h"

namespace octet::model {

// Outputs of a text: [num_tokens, num_labels].
class TokenClassificationHead final : public Head {
 public:
  // Reads <classifier>.{weight,bias}, [num_labels, hidden_dim] and [num_labels]. Errors as Weights::ReadF32, naming
  // the tensor.
  static absl::StatusOr<std::unique_ptr<TokenClassificationHead>> Load(const EncoderConfig& config, size_t num_labels,
                                                                       Isa isa, Weights* weights);

  // What a head of this shape keeps, and the scratch of one workspace, by arithmetic alone.
  static uint64_t WeightBytes(uint64_t hidden_dim, uint64_t num_labels, Isa isa);
  static uint64_t WorkspaceBytes(uint64_t hidden_dim, uint64_t num_labels);

  size_t OutputSize(size_t num_tokens) const override { return num_tokens * classifier_->out_dim(); }
  uint64_t weight_bytes() const override { return classifier_->bytes(); }
  std::unique_ptr<HeadWorkspace> NewWorkspace() const override;
  void Run(const PackedBatch& batch, MatrixView<const float> hidden_states, HeadWorkspace* workspace,
           std::span<float> outputs) const override;

 private:
  explicit TokenClassificationHead(std::unique_ptr<kernels::LinearFactory> factory) : factory_(std::move(factory)) {}

  std::unique_ptr<kernels::LinearFactory> factory_;
  std::unique_ptr<kernels::Linear> classifier_;
};

}  // namespace octet::model

#endif  // OCTET_MODEL_TOKEN_CLASSIFICATION_HEAD_H_
