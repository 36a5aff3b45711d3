#include "model/classification_head.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/aligned_buffer.h"
#include "base/status_macros.h"
#include "model/head_linear.h"

namespace octet::model {
namespace {

using kernels::InputBlock;
using kernels::kMaxProductRows;
using kernels::Linear;
using kernels::LinearFactory;
using kernels::LinearKind;

// One block of texts: their first tokens' states, pooled features, and products of either layer.
struct Workspace final : public HeadWorkspace {
  Workspace(const LinearFactory& factory, const Linear& pooler, const Linear& classifier)
      : first_tokens(&factory.kernels(), kMaxProductRows, InputBlock::RowBytes(LinearKind::kF32, pooler.in_dim())),
        features(&factory.kernels(), kMaxProductRows, InputBlock::RowBytes(LinearKind::kF32, classifier.in_dim())),
        product(factory),
        rows(kMaxProductRows * pooler.out_dim()) {
    first_tokens.Start(pooler.input(), pooler.in_dim());
    features.Start(classifier.input(), classifier.in_dim());
    rows.Zero();
  }

  InputBlock first_tokens, features;
  kernels::OutputBlock product;
  AlignedBuffer<float> rows;  // [kMaxProductRows, hidden_dim]
};

}  // namespace

absl::StatusOr<std::unique_ptr<ClassificationHead>> ClassificationHead::Load(const EncoderConfig& config,
                                                                             size_t num_labels, Isa isa,
                                                                             Weights* weights) {
  std::unique_ptr<ClassificationHead> head(new ClassificationHead(std::make_unique<LinearFactory>(isa)));
  const TensorNames& names = TensorNamesOf(config.family);
  ASSIGN_OR_RETURN(head->pooler_,
                   LoadHeadLinear(names.pooler, config.hidden_dim, config.hidden_dim, head->factory_.get(), weights));
  ASSIGN_OR_RETURN(head->classifier_,
                   LoadHeadLinear(names.classifier, config.hidden_dim, num_labels, head->factory_.get(), weights));
  return head;
}

uint64_t ClassificationHead::WeightBytes(uint64_t hidden_dim, uint64_t num_labels, Isa isa) {
  return LinearFactory::LinearBytes(LinearKind::kF32, isa, hidden_dim, hidden_dim) +
         LinearFactory::LinearBytes(LinearKind::kF32, isa, hidden_dim, num_labels);
}

uint64_t ClassificationHead::WorkspaceBytes(uint64_t hidden_dim, uint64_t num_labels) {
  const uint64_t product = kMaxProductRows * std::max(hidden_dim, num_labels);
  return 2 * InputBlock::Bytes(kMaxProductRows, InputBlock::RowBytes(LinearKind::kF32, hidden_dim)) +
         (product + kMaxProductRows * hidden_dim) * sizeof(float);
}

std::unique_ptr<HeadWorkspace> ClassificationHead::NewWorkspace() const {
  return std::make_unique<Workspace>(*factory_, *pooler_, *classifier_);
}

void ClassificationHead::Run(const PackedBatch& batch, MatrixView<const float> hidden_states, HeadWorkspace* workspace,
                             std::span<float> outputs) const {
  Workspace& s = *static_cast<Workspace*>(workspace);
  const size_t num_labels = classifier_->out_dim();
  for (size_t begin = 0; begin < batch.num_texts(); begin += kMaxProductRows) {
    const size_t rows = std::min<size_t>(kMaxProductRows, batch.num_texts() - begin);
    for (size_t r = 0; r < rows; ++r) {
      s.first_tokens.SetRows(r, 1, hidden_states.Row(batch.starts[begin + r]).data());
    }
    pooler_->Multiply(s.first_tokens, 0, rows, &s.product);
    pooler_->StoreRows(s.first_tokens, &s.product, 0, rows, s.rows.data());
    for (float& value : s.rows.span().first(rows * pooler_->out_dim())) value = std::tanh(value);
    s.features.SetRows(0, rows, s.rows.data());
    classifier_->Multiply(s.features, 0, rows, &s.product);
    classifier_->StoreRows(s.features, &s.product, 0, rows, outputs.data() + begin * num_labels);
  }
}

}  // namespace octet::model
