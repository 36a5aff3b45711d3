#include "serving/servable.h"

#include <algorithm>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "base/status_macros.h"
#include "model/encoder_workspace.h"

namespace octet::serving {
namespace {

class TextModelWorkspace final : public ServableWorkspace {
 public:
  TextModelWorkspace(std::unique_ptr<model::EncoderWorkspace> encoder, std::unique_ptr<model::HeadWorkspace> head)
      : encoder_(std::move(encoder)), head_(std::move(head)) {}
  void Forget() override { encoder_->ForgetHistory(); }
  model::EncoderWorkspace* encoder() const { return encoder_.get(); }
  model::HeadWorkspace* head() const { return head_.get(); }

  MatrixView<const float> hidden_states;  // of the last Compute, in the encoder's workspace

 private:
  const std::unique_ptr<model::EncoderWorkspace> encoder_;
  const std::unique_ptr<model::HeadWorkspace> head_;
};

class TextModelServable final : public Servable {
 public:
  explicit TextModelServable(std::shared_ptr<const model::TextModel> model)
      : model_(std::move(model)), has_fixed_ranges_(model::HasFixedRanges(model_->encoder())) {}

  const model::ModelInfo& info() const override { return model_->info(); }
  const model::MemoryUse& memory() const override { return model_->memory(); }
  uint32_t num_token_types() const override { return std::max(1u, model_->encoder().config().num_token_types); }
  size_t OutputSize(size_t num_tokens) const override { return model_->head().OutputSize(num_tokens); }
  size_t max_batch_tokens() const override { return model_->encoder().options().max_batch_tokens; }

  absl::StatusOr<text::Encoding> Tokenize(absl::string_view text,
                                          const model::TokenizeOptions& options) const override {
    return model_->Tokenize(text, options);
  }

  absl::StatusOr<text::Encoding> TokenizePair(absl::string_view first, absl::string_view second,
                                              const model::TokenizeOptions& options) const override {
    return model_->TokenizePair(first, second, options);
  }

  std::unique_ptr<ServableWorkspace> NewWorkspace(kernels::ThreadTeam* team) const override {
    return std::make_unique<TextModelWorkspace>(model_->NewWorkspace(team), model_->head().NewWorkspace());
  }

  absl::Status Compute(const model::PackedBatch& batch, ServableWorkspace* workspace,
                       std::span<float> outputs) const override {
    auto* const own = static_cast<TextModelWorkspace*>(workspace);
    // As TextModel::Compute, which does not show the states in between.
    ASSIGN_OR_RETURN(own->hidden_states, model_->encoder().Forward(batch, own->encoder()));
    model_->head().Run(batch, own->hidden_states, own->head(), outputs);
    return absl::OkStatus();
  }

  MatrixView<const float> HiddenStates(const ServableWorkspace& workspace) const override {
    return static_cast<const TextModelWorkspace&>(workspace).hidden_states;
  }

  bool has_fixed_ranges() const override { return has_fixed_ranges_; }

  absl::Status ComputeCountingClipped(const model::PackedBatch& batch, ServableWorkspace* workspace,
                                      std::span<float> outputs, model::ClippingCount* count) const override {
    const auto* const own = static_cast<TextModelWorkspace*>(workspace);
    model::ClippingCounter counter(model_->encoder());
    own->encoder()->SetObserver(&counter);
    // Live passes use this workspace too: the observer must be gone however this one ends.
    const auto no_observer = absl::MakeCleanup([own] { own->encoder()->SetObserver(nullptr); });
    RETURN_IF_ERROR(Compute(batch, workspace, outputs));
    *count = counter.count();
    return absl::OkStatus();
  }

 private:
  const std::shared_ptr<const model::TextModel> model_;
  const bool has_fixed_ranges_;
};

}  // namespace

std::shared_ptr<const Servable> MakeServable(std::shared_ptr<const model::TextModel> model) {
  return std::make_shared<TextModelServable>(std::move(model));
}

}  // namespace octet::serving
