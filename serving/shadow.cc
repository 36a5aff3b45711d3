#include "serving/shadow.h"

#include <exception>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "model/packed_batch.h"
#include "model/text_model.h"
#include "serving/shadow_compare.h"

namespace octet::serving {

absl::Status CheckShadow(const ServedModel& served) {
  const Servable* const reference = served.shadow.reference.get();
  if (reference == nullptr) return absl::OkStatus();
  const auto error = [&](const auto&... what) {
    return absl::InvalidArgumentError(absl::StrCat("shadow of model ", served.name, ": ", what...));
  };
  if (served.shadow.max_tokens < 1 || served.shadow.max_queue_texts < 1) {
    return error("max_tokens: ", served.shadow.max_tokens, ", max_queue_texts: ", served.shadow.max_queue_texts,
                 ", each at least 1");
  }
  if (reference->max_batch_tokens() < served.shadow.max_tokens) {
    return error("max_tokens: ", served.shadow.max_tokens, ", the reference was loaded for ",
                 reference->max_batch_tokens());
  }
  for (const size_t num_tokens : {1, 2}) {  // the same for all texts, or in proportion to their tokens
    if (reference->OutputSize(num_tokens) == served.model->OutputSize(num_tokens)) continue;
    return error("the reference has ", reference->OutputSize(num_tokens), " values of a text, the model ",
                 served.model->OutputSize(num_tokens));
  }
  return absl::OkStatus();
}

Shadow::Shadow(const ServedModel& served, ServableWorkspace* workspace, kernels::ThreadTeam* team,
               const ShadowMetrics& metrics)
    : model_(served.model),
      options_(served.shadow),
      predictions_(served.predictions),
      metrics_(metrics),
      workspace_(workspace),
      reference_workspace_(served.shadow.reference->NewWorkspace(team)) {}

void Shadow::Offer(const text::Encoding& encoding, std::span<const float> output) {
  if (!IsSampled(encoding.ids, options_.share)) return;
  if (encoding.ids.size() > options_.max_tokens) return metrics_.Drop(ShadowDrop::kTooLong);
  if (queue_.size() >= options_.max_queue_texts) return metrics_.Drop(ShadowDrop::kQueueFull);
  try {
    queue_.push_back({.ids = encoding.ids, .type_ids = encoding.type_ids, .served = {output.begin(), output.end()}});
  } catch (const std::exception&) {  // out of memory: the answer is out, and must not be called wrong for this
    metrics_.Drop(ShadowDrop::kFault);
  }
}

void Shadow::ComputeNext() {
  absl::StatusOr<bool> is_last;
  try {
    is_last = RunPass(&queue_.front());
  } catch (const std::exception&) {
    is_last = absl::InternalError("shadow: fault while computing");
  }
  if (!is_last.ok()) metrics_.Drop(ShadowDrop::kFault);
  if (!is_last.ok() || *is_last) queue_.pop_front();
}

void Shadow::DropAll(ShadowDrop reason) {
  for (size_t i = 0; i < queue_.size(); ++i) metrics_.Drop(reason);
  queue_.clear();
}

absl::StatusOr<bool> Shadow::RunPass(Text* text) {
  // The comparison last: a text is either compared or dropped, never both.
  if (model_->has_fixed_ranges() && !text->counted_clipped) {
    RETURN_IF_ERROR(CountClipped(*text));
    text->counted_clipped = true;
    return false;
  }
  RETURN_IF_ERROR(Compare(*text));
  return true;
}

absl::Status Shadow::CountClipped(const Text& text) {
  const uint32_t starts[] = {0, static_cast<uint32_t>(text.ids.size())};
  model::ClippingCount count;
  outputs_.resize(model_->OutputSize(text.ids.size()));
  RETURN_IF_ERROR(model_->ComputeCountingClipped({.ids = text.ids, .type_ids = text.type_ids, .starts = starts},
                                                 workspace_, outputs_, &count));
  metrics_.activations->Increment(static_cast<double>(count.values));
  metrics_.clipped->Increment(static_cast<double>(count.clipped));
  return absl::OkStatus();
}

absl::Status Shadow::Compare(const Text& text) {
  const uint32_t starts[] = {0, static_cast<uint32_t>(text.ids.size())};
  outputs_.resize(options_.reference->OutputSize(text.ids.size()));
  RETURN_IF_ERROR(options_.reference->Compute({.ids = text.ids, .type_ids = text.type_ids, .starts = starts},
                                              reference_workspace_.get(), outputs_));
  // An embedding may have been cut; its length does not matter to a cosine.
  const std::span<const float> reference = std::span(outputs_).first(text.served.size());
  if (!model::IsFinite(reference)) return absl::InternalError("shadow: non-finite output of the reference");
  metrics_.texts->Increment();
  metrics_.cosine_distance->Observe(CosineDistance(text.served, reference));
  const bool are_labels = !model_->info().labels.empty() && text.served.size() == model_->info().labels.size();
  if (are_labels && IsLabelFlip(text.served, reference, predictions_)) metrics_.label_flips->Increment();
  return absl::OkStatus();
}

}  // namespace octet::serving
