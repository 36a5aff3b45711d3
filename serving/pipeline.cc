#include "serving/pipeline.h"

#include <algorithm>
#include <exception>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "serving/admission.h"
#include "serving/batch_queue.h"
#include "serving/call.h"
#include "serving/compute_worker.h"
#include "serving/heartbeat.h"
#include "serving/request_check.h"
#include "serving/shadow.h"
#include "serving/sweeper.h"
#include "serving/tokenize_stage.h"

namespace octet::serving {
namespace {

// Calls of at most this many bytes of text are tokenized by the thread that brings them, in about 0.1 ms: for a shorter time
// than waking up a tokenizer and its going to sleep again take.
constexpr size_t kMaxBytesOfCaller = 512;

absl::Status Draining() { return WithReason(absl::UnavailableError("server: draining"), kReasonDraining); }

absl::Status CheckOptions(const PipelineOptions& options) {
  const struct {
    const char* name;
    int64_t value;
  } kAtLeastOne[] = {
      {"num_tokenizer_threads", options.num_tokenizer_threads},
      {"num_compute_threads", options.num_compute_threads},
      {"max_texts_per_call", static_cast<int64_t>(options.max_texts_per_call)},
      {"max_text_bytes", static_cast<int64_t>(options.max_text_bytes)},
      {"max_batch_tokens", static_cast<int64_t>(options.max_batch_tokens)},
      {"max_batch_texts", static_cast<int64_t>(options.max_batch_texts)},
      {"max_pending_bytes", static_cast<int64_t>(options.max_pending_bytes)},
      {"max_queue_tokens", static_cast<int64_t>(options.max_queue_tokens)},
      {"max_queue_texts", static_cast<int64_t>(options.max_queue_texts)},
      {"max_hidden_state_bytes", static_cast<int64_t>(options.max_hidden_state_bytes)},
  };
  for (const auto& option : kAtLeastOne) {
    if (option.value < 1) {
      return absl::InvalidArgumentError(absl::StrCat(option.name, ": ", option.value, ", at least 1"));
    }
  }
  if (options.cpu_quota && !(*options.cpu_quota > 0)) {
    return absl::InvalidArgumentError(absl::StrCat("cpu_quota: ", *options.cpu_quota, ", more than 0"));
  }
  if (options.max_batch_delay < absl::ZeroDuration() || options.busy_limit <= absl::ZeroDuration()) {
    return absl::InvalidArgumentError("max_batch_delay: negative, or busy_limit: not positive");
  }
  return absl::OkStatus();
}

// C2: every text that a model accepts must fit a batch, and every batch the model's arenas.
absl::Status CheckModel(const PipelineOptions& options, const ServedModel& served) {
  const uint32_t max_tokens = served.model->info().max_tokens;
  if (options.max_batch_tokens < max_tokens) {
    return absl::InvalidArgumentError(absl::StrCat("max_batch_tokens: ", options.max_batch_tokens, ", at least ",
                                                   max_tokens, " for model ", served.name));
  }
  if (served.model->max_batch_tokens() < options.max_batch_tokens) {
    return absl::InvalidArgumentError(absl::StrCat("max_batch_tokens: ", options.max_batch_tokens, ", model ",
                                                   served.name, " was loaded for ", served.model->max_batch_tokens()));
  }
  return absl::OkStatus();
}

}  // namespace

struct Pipeline::State {
  State(const PipelineOptions& options_in, const ModelRepository* repository_in, Metrics* metrics_in,
        const Clock* clock_in);
  ~State();

  absl::Status Start();
  void Submit(Request request, RequestDone done);
  void Enter(const std::shared_ptr<Call>& call);
  void OnTokenized(std::shared_ptr<Call> call);
  bool Sweep();
  size_t Drain(absl::Duration timeout);
  QueueSnapshot Probe() const;

  const PipelineOptions options;
  const ModelRepository* const repository;
  Metrics* const metrics;
  const Clock* const clock;

  // In the order of need: a thread may use everything above its own object.
  Admission admission;
  Heartbeats heartbeats;
  CallRegistry calls;
  BatchQueue queue;
  Sweeper sweeper;
  TokenizeStage tokenize_stage;
  ComputeWorker worker;
};

Pipeline::State::State(const PipelineOptions& options_in, const ModelRepository* repository_in, Metrics* metrics_in,
                       const Clock* clock_in)
    : options(options_in),
      repository(repository_in),
      metrics(metrics_in),
      clock(clock_in),
      admission({.max_pending_bytes = options.max_pending_bytes,
                 .max_queue_tokens = options.max_queue_tokens,
                 .max_queue_texts = options.max_queue_texts,
                 .max_hidden_state_bytes = options.max_hidden_state_bytes}),
      heartbeats(clock, options.busy_limit),
      queue({.max_batch_tokens = options.max_batch_tokens,
             .max_batch_texts = options.max_batch_texts,
             .max_batch_delay = options.max_batch_delay},
            clock),
      sweeper([this] { return Sweep(); }),
      tokenize_stage(clock, [this](std::shared_ptr<Call> call) { OnTokenized(std::move(call)); }),
      worker({.num_threads = options.num_compute_threads,
              .cpu_quota = options.cpu_quota,
              .max_batch_tokens = options.max_batch_tokens,
              .max_batch_texts = options.max_batch_texts,
              .warm_up_tokens = std::min(options.warm_up_tokens, options.max_batch_tokens)},
             {&queue, &tokenize_stage, &admission, metrics, &heartbeats, clock}) {}

absl::Status Pipeline::State::Start() {
  RETURN_IF_ERROR(CheckOptions(options));
  const std::vector<std::shared_ptr<const ServedModel>> models = repository->List();
  for (const auto& served : models) {
    RETURN_IF_ERROR(CheckModel(options, *served));
    RETURN_IF_ERROR(CheckShadow(*served));
    const model::ModelInfo& info = served->model->info();
    const absl::string_view precision = model::PrecisionName(info.precision);
    const absl::string_view isa = IsaName(info.isa);
    metrics->RegisterModel({.name = served->name,
                            .version = info.version,
                            .precision = std::string(precision.data(), precision.size()),
                            .isa = std::string(isa.data(), isa.size()),
                            .load_time = served->load_time,
                            .quantization = info.quantization});
  }
  RETURN_IF_ERROR(worker.Start(models));
  tokenize_stage.Start(options.num_tokenizer_threads, &heartbeats);
  sweeper.Start(&heartbeats);
  metrics->SetQueueLimits({.texts = options.max_queue_texts,
                           .tokens = options.max_queue_tokens,
                           .pending_bytes = options.max_pending_bytes,
                           .batch_tokens = options.max_batch_tokens});
  metrics->SetQueueProbe([this] { return Probe(); });
  return absl::OkStatus();
}

Pipeline::State::~State() {
  Drain(absl::ZeroDuration());
  metrics->SetQueueProbe(nullptr);
  sweeper.Stop();
  queue.Stop();           // the worker may still be computing, and post answers
  tokenize_stage.Stop();  // runs those it has; later ones run on the worker
}

void Pipeline::State::Submit(Request request, RequestDone done) {
  const MonotonicTime now = clock->Now();
  if (request.trace != nullptr) request.trace->SetNumTexts(request.texts.size());
  const auto refuse = [&](const absl::Status& status) {
    CountRefusal(status, metrics);
    std::move(done)(status);
  };
  // What is wrong in any state first, then what is wrong now.
  auto plan = CheckRequest(request,
                           {.max_texts_per_call = options.max_texts_per_call, .max_text_bytes = options.max_text_bytes},
                           *repository);
  if (!plan.ok()) return refuse(plan.status());
  const size_t text_bytes = plan->text_bytes;
  auto ticket = admission.AdmitBytes(text_bytes, request.num_texts());
  if (!ticket.ok()) return refuse(ticket.status());
  const auto call =
      std::make_shared<Call>(std::move(request), std::move(done), *std::move(plan), now, *std::move(ticket), metrics);
  if (!calls.Add(call)) {
    call->Finish(Draining());
  } else if (const absl::Status wanted = call->CheckWanted(now); !wanted.ok()) {
    call->Finish(wanted);
  } else {
    Enter(call);
  }
}

void Pipeline::State::Enter(const std::shared_ptr<Call>& call) {
  if (call->has_token_ids()) {
    call->tokenize_start = call->arrival();
    return OnTokenized(call);
  }
  const size_t text_bytes = call->plan().text_bytes;
  const bool small = text_bytes <= options.max_handed_bytes && call->num_texts() <= 8;
  if (small && queue.TryHandToIdleWorker(call)) return;
  // Behind a long queue callers bring more than they should work on: what is too much must be refused at once.
  const auto queue_is_short = [this] { return admission.Use().queue_tokens < options.max_queue_tokens / 4; };
  if (small && text_bytes <= kMaxBytesOfCaller && queue_is_short() && tokenize_stage.TryTokenizeHere(call)) return;
  if (!tokenize_stage.Push(call)) sweeper.Arm();
}

void Pipeline::State::OnTokenized(std::shared_ptr<Call> call) {
  if (call->finished()) return;
  const MonotonicTime tokenized_at = clock->Now();
  absl::Status error = call->TokenizeError();
  if (CallTrace* const trace = call->trace(); trace != nullptr) {
    trace->SetTokenized({.begin = call->tokenize_start, .end = tokenized_at, .failed = !error.ok()});
  }
  if (!error.ok()) {
    call->Finish(std::move(error));
    return;
  }
  // L12: running out of memory here costs this call only.
  try {
    call->PrepareForCompute(tokenized_at);
    auto ticket = admission.AdmitTokens(call->total_tokens(), call->num_texts());
    if (!ticket.ok()) {
      call->Finish(ticket.status());
      return;
    }
    if (call->wants_hidden_states()) {
      auto room = admission.AdmitHiddenStates(call->hidden_state_bytes());
      if (!room.ok()) {
        call->Finish(room.status());
        return;
      }
      call->HoldHiddenStates(*std::move(room));
    }
    call->ReleaseBytes();
    if (!queue.Push(call, *std::move(ticket))) sweeper.Arm();
  } catch (const std::exception&) {
    call->Finish(absl::InternalError("server: out of memory"));
  }
}

bool Pipeline::State::Sweep() {
  size_t waiting_texts = 0, waiting_batches = 0;
  auto dropped = tokenize_stage.Sweep(&waiting_texts);
  for (auto& call : queue.Sweep(&waiting_batches)) dropped.push_back(std::move(call));
  const MonotonicTime now = clock->Now();
  for (const auto& call : dropped) call->Finish(call->CheckWanted(now));
  return waiting_texts + waiting_batches > 0;
}

size_t Pipeline::State::Drain(absl::Duration timeout) {
  calls.Close();
  worker.StopShadows();
  size_t num_cut_off = 0;
  if (!calls.WaitUntilEmpty(timeout)) {
    for (const auto& call : calls.List()) num_cut_off += call->Finish(Draining());
    // Answers that another thread has begun to send; they do not block.
    calls.WaitUntilEmpty(absl::InfiniteDuration());
  }
  return num_cut_off;
}

QueueSnapshot Pipeline::State::Probe() const {
  const AdmissionUse use = admission.Use();
  const auto oldest = queue.OldestEnqueued();
  return {.texts = use.queue_texts,
          .tokens = use.queue_tokens,
          .pending_bytes = use.pending_bytes,
          .oldest_age = oldest ? clock->Now() - *oldest : absl::ZeroDuration()};
}

absl::StatusOr<std::unique_ptr<Pipeline>> Pipeline::Create(const PipelineOptions& options,
                                                           const ModelRepository* repository, Metrics* metrics,
                                                           const Clock* clock) {
  RETURN_IF_ERROR(CheckOptions(options));
  auto state = std::make_unique<State>(options, repository, metrics, clock);
  RETURN_IF_ERROR(state->Start());
  return std::unique_ptr<Pipeline>(new Pipeline(std::move(state)));
}

Pipeline::Pipeline(std::unique_ptr<State> state) : state_(std::move(state)) {}
Pipeline::~Pipeline() = default;

void Pipeline::Submit(Request request, RequestDone done) { state_->Submit(std::move(request), std::move(done)); }

size_t Pipeline::Drain(absl::Duration timeout) { return state_->Drain(timeout); }

PipelineHealth Pipeline::Health() const {
  PipelineHealth health;
  health.reason = state_->heartbeats.Complaint();
  if (health.reason.empty()) {
    health.reason = state_->heartbeats.ComplaintAboutWaiting("batch queue", state_->queue.WaitingBesideIdleWorker());
  }
  if (health.reason.empty()) {
    health.reason =
        state_->heartbeats.ComplaintAboutWaiting("tokenizer queue", state_->tokenize_stage.WaitingBesideIdleThread());
  }
  health.live = health.reason.empty();
  return health;
}

const PipelineOptions& Pipeline::options() const { return state_->options; }

}  // namespace octet::serving
