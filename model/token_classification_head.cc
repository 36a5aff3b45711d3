#include "model/token_classification_head.h"

#include <algorithm>
#include <utility>

#include "base/status_macros.h"
#include "model/head_linear.h"

namespace octet::model {
namespace {

using kernels::InputBlock;
using kernels::kMaxProductRows;
using kernels::Linear;
using kernels::LinearFactory;
using kernels::LinearKind;

// One block of tokens: their states and the product.
struct Workspace final : public HeadWorkspace {
  Workspace(const LinearFactory& factory, const Linear& classifier)
      : tokens(&factory.kernels(), kMaxProductRows, InputBlock::RowBytes(LinearKind::kF32, classifier.in_dim())),
        product(factory) {
    tokens.Start(classifier.input(), classifier.in_dim());
  }

  InputBlock tokens;
  kernels::OutputBlock product;
};

}  // namespace

absl::StatusOr<std::unique_ptr<TokenClassificationHead>> TokenClassificationHead::Load(const EncoderConfig& config,
                                                                                       size_t num_labels, Isa isa,
                                                                                       Weights* weights) {
  std::unique_ptr<TokenClassificationHead> head(new TokenClassificationHead(std::make_unique<LinearFactory>(isa)));
  ASSIGN_OR_RETURN(head->classifier_, LoadHeadLinear(TensorNamesOf(config.family).classifier, config.hidden_dim,
                                                     num_labels, head->factory_.get(), weights));
  return head;
}

uint64_t TokenClassificationHead::WeightBytes(uint64_t hidden_dim, uint64_t num_labels, Isa isa) {
  return LinearFactory::LinearBytes(LinearKind::kF32, isa, hidden_dim, num_labels);
}

uint64_t TokenClassificationHead::WorkspaceBytes(uint64_t hidden_dim, uint64_t num_labels) {
  return InputBlock::Bytes(kMaxProductRows, InputBlock::RowBytes(LinearKind::kF32, hidden_dim)) +
         kMaxProductRows * num_labels * sizeof(float);
}

std::unique_ptr<HeadWorkspace> TokenClassificationHead::NewWorkspace() const {
  return std::make_unique<Workspace>(*factory_, *classifier_);
}

// Tokens lie in the batch as outputs do: end to end, in order.
void TokenClassificationHead::Run(const PackedBatch& batch, MatrixView<const float> hidden_states,
                                  HeadWorkspace* workspace, std::span<float> outputs) const {
  Workspace& s = *static_cast<Workspace*>(workspace);
  const size_t num_labels = classifier_->out_dim();
  for (size_t begin = 0; begin < batch.num_tokens(); begin += kMaxProductRows) {
    const size_t rows = std::min<size_t>(kMaxProductRows, batch.num_tokens() - begin);
    for (size_t r = 0; r < rows; ++r) s.tokens.SetRows(r, 1, hidden_states.Row(begin + r).data());
    classifier_->Multiply(s.tokens, 0, rows, &s.product);
    classifier_->StoreRows(s.tokens, &s.product, 0, rows, outputs.data() + begin * num_labels);
  }
}

}  // namespace octet::model
