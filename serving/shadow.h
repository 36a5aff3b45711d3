// One model's shadow: texts that it has answered, waiting to be computed by a reference of full precision as well, and
// what comes of the comparison in the metrics. It decides which texts and how many wait; when there is time for them,
// the compute worker does. Everything is on the worker's thread: nothing here is thread-safe, and nothing locks.
#ifndef OCTET_SERVING_SHADOW_H_
#define OCTET_SERVING_SHADOW_H_

#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "kernels/thread_team.h"
#include "model/predictions.h"
#include "serving/model_repository.h"
#include "serving/servable.h"
#include "serving/shadow_metrics.h"
#include "text/tokenizer.h"

namespace octet::serving {

// InvalidArgument when `served` has a shadow whose reference cannot stand for the model.
absl::Status CheckShadow(const ServedModel& served);

class Shadow {
 public:
  // `served` has a reference. `workspace`: of the served model, used between batches only; it and `team` must outlive
  // the shadow. Memory of the reference's workspace is touched here.
  Shadow(const ServedModel& served, ServableWorkspace* workspace, kernels::ThreadTeam* team,
         const ShadowMetrics& metrics);

  // A text and its answer as it was sent: logits, or an embedding that may be cut and normalized. Copied if the text
  // is sampled (shadow_compare.h) and fits the queue, else at most counted. Does not throw.
  void Offer(const text::Encoding& encoding, std::span<const float> output);

  bool HasWork() const { return !queue_.empty(); }

  // One forward pass of one text, of at most ShadowOptions::max_tokens tokens: of the model, to count what it clips, if
  // it has fixed ranges, then of the reference. Precondition: HasWork. Does not throw.
  void ComputeNext();

  // Counts all that wait as dropped for `reason`.
  void DropAll(ShadowDrop reason);

 private:
  struct Text {
    std::vector<int32_t> ids, type_ids;
    std::vector<float> served;
    bool counted_clipped = false;
  };

  // True when it was the text's last pass.
  absl::StatusOr<bool> RunPass(Text* text);
  absl::Status CountClipped(const Text& text);
  absl::Status Compare(const Text& text);

  const std::shared_ptr<const Servable> model_;
  const ShadowOptions options_;
  const model::PredictionOptions predictions_;
  const ShadowMetrics metrics_;
  ServableWorkspace* const workspace_;  // of model_
  const std::unique_ptr<ServableWorkspace> reference_workspace_;
  std::deque<Text> queue_;
  std::vector<float> outputs_;  // of one pass
};

}  // namespace octet::serving

#endif  // OCTET_SERVING_SHADOW_H_
