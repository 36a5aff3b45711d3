// A logit per label from a text's first token: logits = W_c tanh(W_p h + b_p) + b_c (Devlin et al. 2019, section
// 4.1, with the pooler of the reference code; `transformers`: BertForSequenceClassification). All in f32 whatever
// the encoder's precision: it is a ten-thousandth of the encoder's work. Each sum has the order of its row's
// values, so a text's logits depend on nothing but its own row, at every level from AVX2 up.
#ifndef OCTET_MODEL_CLASSIFICATION_HEAD_H_
#define OCTET_MODEL_CLASSIFICATION_HEAD_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/cpu_isa.h"
#include "kernels/linear.h"
#include "model/encoder_config.h"
#include "model/head.h"
#include "model/weights.h"

namespace octet::model {

class ClassificationHead final : public Head {
 public:
  // Reads <pooler>.{weight,bias}, [hidden_dim, hidden_dim] and [hidden_dim], and <classifier>.{weight,bias},
  // [num_labels, hidden_dim] and [num_labels]. Errors as Weights::ReadF32, naming the tensor.
  static absl::StatusOr<std::unique_ptr<ClassificationHead>> Load(const EncoderConfig& config, size_t num_labels,
                                                                  Isa isa, Weights* weights);

  // What a head of this shape keeps, and the scratch of one workspace, by arithmetic alone.
  static uint64_t WeightBytes(uint64_t hidden_dim, uint64_t num_labels, Isa isa);
  static uint64_t WorkspaceBytes(uint64_t hidden_dim, uint64_t num_labels);

  size_t OutputSize(size_t) const override { return classifier_->out_dim(); }
  uint64_t weight_bytes() const override { return pooler_->bytes() + classifier_->bytes(); }
  std::unique_ptr<HeadWorkspace> NewWorkspace() const override;
  void Run(const PackedBatch& batch, MatrixView<const float> hidden_states, HeadWorkspace* workspace,
           std::span<float> outputs) const override;

 private:
  explicit ClassificationHead(std::unique_ptr<kernels::LinearFactory> factory) : factory_(std::move(factory)) {}

  std::unique_ptr<kernels::LinearFactory> factory_;
  std::unique_ptr<kernels::Linear> pooler_, classifier_;
};

}  // namespace octet::model

#endif  // OCTET_MODEL_CLASSIFICATION_HEAD_H_
