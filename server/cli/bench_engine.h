// A model, a team and a workspace for timing forward passes over token ids.
#ifndef OCTET_SERVER_CLI_BENCH_ENGINE_H_
#define OCTET_SERVER_CLI_BENCH_ENGINE_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "kernels/thread_team.h"
#include "model/text_model.h"
#include "server/cli/bench.h"

namespace octet::cli {

// Texts laid end to end, owning what a model::PackedBatch borrows.
struct OwnedBatch {
  std::vector<int32_t> ids;
  std::vector<uint32_t> starts = {0};

  void Add(std::span<const int32_t> text) {
    ids.insert(ids.end(), text.begin(), text.end());
    starts.push_back(static_cast<uint32_t>(ids.size()));
  }
  model::PackedBatch view() const { return {.ids = ids, .type_ids = {}, .starts = starts}; }
};

class BenchEngine {
 public:
  // Loads without tokenizer and pooling files; Forward takes up to `max_batch_tokens` tokens, and a text of any
  // length that the model allows.
  static absl::StatusOr<std::unique_ptr<BenchEngine>> Load(const BenchOptions& options, size_t max_batch_tokens);

  // Hidden states [num_tokens, hidden_dim], valid until the next call.
  absl::StatusOr<MatrixView<const float>> Forward(const OwnedBatch& batch) {
    return model_->encoder().Forward(batch.view(), workspace_.get());
  }

  const model::TextModel& model() const { return *model_; }
  kernels::ThreadTeam& team() { return team_; }
  model::EncoderWorkspace& workspace() { return *workspace_; }
  // Operations of the linear layers for `num_tokens` tokens; a multiply-add is two.
  double LinearOps(size_t num_tokens) const;

 private:
  explicit BenchEngine(int num_threads) : team_(num_threads) {}

  kernels::ThreadTeam team_;
  std::shared_ptr<const model::TextModel> model_;
  std::unique_ptr<model::EncoderWorkspace> workspace_;
};

}  // namespace octet::cli

#endif  // OCTET_SERVER_CLI_BENCH_ENGINE_H_
