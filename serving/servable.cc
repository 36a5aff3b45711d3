#include "serving/servable.h"

#include <utility>

#include "model/encoder_workspace.h"

namespace octet::serving {
namespace {

class TextModelWorkspace final : public ServableWorkspace {
 public:
  explicit TextModelWorkspace(std::unique_ptr<model::EncoderWorkspace> encoder) : encoder_(std::move(encoder)) {}
  model::EncoderWorkspace* encoder() const { return encoder_.get(); }

 private:
  const std::unique_ptr<model::EncoderWorkspace> encoder_;
};

class TextModelServable final : public Servable {
 public:
  explicit TextModelServable(std::shared_ptr<const model::TextModel> model) : model_(std::move(model)) {}

  const model::ModelInfo& info() const override { return model_->info(); }
  const model::MemoryUse& memory() const override { return model_->memory(); }
  size_t max_batch_tokens() const override { return model_->encoder().options().max_batch_tokens; }

  absl::StatusOr<text::Encoding> Tokenize(absl::string_view text,
                                          const model::TokenizeOptions& options) const override {
    return model_->Tokenize(text, options);
  }

  std::unique_ptr<ServableWorkspace> NewWorkspace(kernels::ThreadTeam* team) const override {
    return std::make_unique<TextModelWorkspace>(model_->NewWorkspace(team));
  }

  absl::Status Compute(const model::PackedBatch& batch, ServableWorkspace* workspace,
                       MatrixView<float> outputs) const override {
    return model_->Embed(batch, static_cast<TextModelWorkspace*>(workspace)->encoder(), outputs);
  }

 private:
  const std::shared_ptr<const model::TextModel> model_;
};

}  // namespace

std::shared_ptr<const Servable> MakeServable(std::shared_ptr<const model::TextModel> model) {
  return std::make_shared<TextModelServable>(std::move(model));
}

}  // namespace octet::serving
