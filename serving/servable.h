// What the pipeline needs of a model, and no more: the seam between serving and model, so that queues,
// policies and failures are tested with fakes. Immutable and thread-safe except for workspaces, of which
// every worker has its own.
#ifndef OCTET_SERVING_SERVABLE_H_
#define OCTET_SERVING_SERVABLE_H_

#include <cstddef>
#include <memory>
#include <span>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/matrix_view.h"
#include "kernels/thread_team.h"
#include "model/activation_clipping.h"
#include "model/packed_batch.h"
#include "model/text_model.h"
#include "text/tokenizer.h"

namespace octet::serving {

// Scratch of one worker for one model, made by the Servable that uses it.
class ServableWorkspace {
 public:
  virtual ~ServableWorkspace() = default;
  // Forgets what earlier Compute calls left behind that later answers depend on, if anything does.
  virtual void Forget() {}
};

// Errors and shapes as model::TextModel, whose face this is.
class Servable {
 public:
  virtual ~Servable() = default;

  virtual const model::ModelInfo& info() const = 0;
  virtual const model::MemoryUse& memory() const = 0;
  // Type ids of tokens are below it.
  virtual uint32_t num_token_types() const = 0;
  // f32 values that a text of so many tokens yields: the same for all, or in proportion to the tokens.
  virtual size_t OutputSize(size_t num_tokens) const = 0;
  // The most tokens of one Compute call.
  virtual size_t max_batch_tokens() const = 0;
  virtual absl::StatusOr<text::Encoding> Tokenize(absl::string_view text,
                                                  const model::TokenizeOptions& options) const = 0;
  virtual absl::StatusOr<text::Encoding> TokenizePair(absl::string_view first, absl::string_view second,
                                                      const model::TokenizeOptions& options) const = 0;
  // `team` must outlive the workspace.
  virtual std::unique_ptr<ServableWorkspace> NewWorkspace(kernels::ThreadTeam* team) const = 0;
  // `workspace` comes from this object's NewWorkspace. outputs: of the texts end to end, OutputSize of each.
  virtual absl::Status Compute(const model::PackedBatch& batch, ServableWorkspace* workspace,
                               std::span<float> outputs) const = 0;
  // [num_tokens, hidden_dim]: the encoder's output for the batch of the last successful Compute with `workspace`. Valid
  // until the workspace is used again.
  virtual MatrixView<const float> HiddenStates(const ServableWorkspace& workspace) const = 0;

  // Whether linear layers cut their inputs to fixed ranges.
  virtual bool has_fixed_ranges() const = 0;
  // As Compute, with the same outputs, and sets `count` to what the pass has cut off; slower.
  virtual absl::Status ComputeCountingClipped(const model::PackedBatch& batch, ServableWorkspace* workspace,
                                              std::span<float> outputs, model::ClippingCount* count) const = 0;
};

// A loaded model as a Servable.
std::shared_ptr<const Servable> MakeServable(std::shared_ptr<const model::TextModel> model);

}  // namespace octet::serving

#endif  // OCTET_SERVING_SERVABLE_H_
