// The one thread that runs forward passes, with its team, one batch at a time across all models. Faults
// (exceptions, model errors, non-finite outputs) fail the texts they belong to and nothing else. When nothing waits it
// runs passes of shadows (shadow.h), one at a time, so that a batch waits for one of them at most.
#ifndef OCTET_SERVING_COMPUTE_WORKER_H_
#define OCTET_SERVING_COMPUTE_WORKER_H_

#include <atomic>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/aligned_buffer.h"
#include "base/clock.h"
#include "base/cpu_pacer.h"
#include "kernels/thread_team.h"
#include "serving/admission.h"
#include "serving/batch_queue.h"
#include "serving/heartbeat.h"
#include "serving/metrics.h"
#include "serving/model_repository.h"
#include "serving/servable.h"
#include "serving/shadow.h"
#include "serving/tokenize_stage.h"

namespace octet::serving {

struct ComputeWorkerOptions {
  int num_threads = 1;                   // of the team, this one included
  std::optional<double> cpu_quota = {};  // CPUs; the team rests when the process has used them up (base/cpu_pacer.h)
  size_t max_batch_tokens = 0, max_batch_texts = 0;
  size_t warm_up_tokens = 0;  // largest warm-up pass
};

class ComputeWorker {
 public:
  // All pointers must outlive the worker.
  struct Parts {
    BatchQueue* queue;
    TokenizeStage* tokenize_stage;
    Admission* admission;
    Metrics* metrics;
    Heartbeats* heartbeats;
    const Clock* clock;
  };
  ComputeWorker(const ComputeWorkerOptions& options, const Parts& parts);
  ~ComputeWorker();  // joins; stop the queue first

  // Starts the thread, makes workspaces and runs the warm-up passes there. Returns when the worker is
  // ready or with the first model's error.
  absl::Status Start(const std::vector<std::shared_ptr<const ServedModel>>& models);

  // From now on no shadow (shadow.h) begins a pass, and texts that wait for theirs are dropped. Any thread.
  void StopShadows() { shadows_stopped_.store(true, std::memory_order_relaxed); }

 private:
  // Scratch of one model. Keeps the model alive, so that its address stays a valid key.
  struct Station {
    std::shared_ptr<const Servable> model;
    std::unique_ptr<ServableWorkspace> workspace;
    AlignedBuffer<float> outputs;  // of a batch's texts, end to end
    Shadow* shadow = nullptr;      // null: the model has none
  };

  void Run(Heartbeat* beat);
  absl::Status Prepare(const std::vector<std::shared_ptr<const ServedModel>>& models);
  absl::Status WarmUp(Station* station);
  Station* StationOf(const ServedModel& served);

  void Process(const std::vector<BatchText>& texts, MonotonicTime batch_start);
  void Pack(std::span<const BatchText> texts);
  absl::Status Compute(Station* station, std::span<const BatchText> texts);
  // What is in ids_, type_ids_ and starts_; sets output_starts_.
  absl::Status ComputePacked(Station* station);
  void ComputeOneByOne(Station* station, std::span<const BatchText> texts, MonotonicTime batch_start);
  // Gives the outputs of the last Compute, which was of `texts`, to their calls.
  void Deliver(Station* station, std::span<const BatchText> texts, MonotonicTime batch_start,
               absl::Duration compute_time);
  // Gives those of the batch's text `batch_idx` to its call; false when they are not finite.
  bool DeliverHiddenStates(const Station& station, size_t batch_idx, Call* call, size_t text_idx);
  void SendAnswers();
  void CountRests();
  bool ShadowsWait() const;
  // One pass of the next shadow in turn, unless calls are on their way to the queue.
  void ComputeShadow();

  const ComputeWorkerOptions options_;
  const Parts parts_;
  std::thread thread_;
  std::atomic<bool> shadows_stopped_{false};

  // Only on the worker's thread.
  std::optional<CpuPacer> pacer_;  // nothing without a quota
  absl::Duration rests_counted_;
  std::unique_ptr<kernels::ThreadTeam> team_;
  std::map<const Servable*, Station> stations_;
  std::vector<int32_t> ids_, type_ids_;  // [num_tokens] of the batch
  std::vector<uint32_t> starts_;         // [num_texts + 1]
  std::vector<size_t> output_starts_;    // [num_texts + 1], in Station::outputs
  TextBuffer text_buffer_;
  struct ReadyAnswer {
    std::shared_ptr<Call> call;
    absl::StatusOr<Response> result;
  };
  std::vector<ReadyAnswer> ready_;
  // Outputs of the last batch that are in their calls, in Station::outputs; kept only for a shadow.
  struct DeliveredText {
    const BatchText* text;
    std::span<const float> output;
  };
  std::vector<DeliveredText> delivered_;
  std::vector<std::unique_ptr<Shadow>> shadows_;
  size_t next_shadow_ = 0;  // whose turn it is
};

}  // namespace octet::serving

#endif  // OCTET_SERVING_COMPUTE_WORKER_H_
