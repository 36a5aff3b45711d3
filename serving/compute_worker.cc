#include "serving/compute_worker.h"

#include <algorithm>
#include <exception>
#include <future>
#include <span>
#include <utility>

#include "absl/strings/str_cat.h"
#include "model/embedding_head.h"
#include "model/text_model.h"
#include "serving/batch_trace.h"

namespace octet::serving {
namespace {

// Answers are built and sent by `done`. Up to this many are sent from the worker's own thread, which is
// the fastest way for the caller; more are shared out, so that the team computes again at once.
constexpr size_t kAnswersSentHere = 2;
constexpr size_t kAnswersPerPost = 16;
// Time is to spare when no work has come for so long: a client that sends its next call when it has an answer needs less
// (0.2 ms beside the server, about 1 ms across a network), and must not find a shadow at work each time.
constexpr absl::Duration kSpareAfter = absl::Milliseconds(2);

absl::Status WorkerFault() { return absl::InternalError("worker: fault while computing this batch"); }

}  // namespace

ComputeWorker::ComputeWorker(const ComputeWorkerOptions& options, const Parts& parts)
    : options_(options), parts_(parts) {
  ids_.reserve(options.max_batch_tokens);
  type_ids_.reserve(options.max_batch_tokens);
  starts_.reserve(options.max_batch_texts + 1);
  output_starts_.reserve(options.max_batch_texts + 1);
  ready_.reserve(options.max_batch_texts);
}

ComputeWorker::~ComputeWorker() {
  if (thread_.joinable()) thread_.join();
}

absl::Status ComputeWorker::Start(const std::vector<std::shared_ptr<const ServedModel>>& models) {
  Heartbeat* beat = parts_.heartbeats->Add("compute worker");
  std::promise<absl::Status> prepared;
  std::future<absl::Status> result = prepared.get_future();
  // The team is made and warmed up on the thread that will use it: oneDNN and OpenMP keep state by thread.
  thread_ = std::thread([this, beat, &models, promise = std::move(prepared)]() mutable {
    const absl::Status status = Prepare(models);
    promise.set_value(status);
    if (status.ok()) Run(beat);
    shadows_.clear();  // before the stations, and these before the team that they refer to
    stations_.clear();
    team_.reset();
  });
  return result.get();
}

absl::Status ComputeWorker::Prepare(const std::vector<std::shared_ptr<const ServedModel>>& models) {
  try {
    if (options_.cpu_quota) pacer_.emplace(*options_.cpu_quota, options_.num_threads);
    team_ = std::make_unique<kernels::ThreadTeam>(options_.num_threads, pacer_ ? &*pacer_ : nullptr);
    for (const auto& model : models) {
      if (absl::Status status = WarmUp(StationOf(*model)); !status.ok()) return status;
    }
    return absl::OkStatus();
  } catch (const std::exception& error) {
    return absl::InternalError(absl::StrCat("warm-up: ", error.what()));
  }
}

ComputeWorker::Station* ComputeWorker::StationOf(const ServedModel& served) {
  const std::shared_ptr<const Servable>& model = served.model;
  const auto it = stations_.find(model.get());
  if (it != stations_.end()) return &it->second;
  Station station;
  station.model = model;
  station.workspace = model->NewWorkspace(team_.get());
  // Whichever way outputs grow (Servable::OutputSize), no batch has more.
  station.outputs = AlignedBuffer<float>(
      std::max(options_.max_batch_texts * model->OutputSize(1), model->OutputSize(options_.max_batch_tokens)));
  std::fill_n(station.outputs.data(), station.outputs.size(), 0.0f);  // touches the pages
  Station* const placed = &stations_.emplace(model.get(), std::move(station)).first->second;
  if (served.shadow.reference != nullptr) {
    delivered_.reserve(options_.max_batch_texts);
    shadows_.push_back(
        std::make_unique<Shadow>(served, placed->workspace.get(), team_.get(), parts_.metrics->ForShadow(served.name)));
    placed->shadow = shadows_.back().get();
  }
  return placed;
}

// Token counts in powers of two meet every row-block size and every way of splitting work over the team;
// the workspace has touched its own pages. Larger passes run the same primitives on more rows.
absl::Status ComputeWorker::WarmUp(Station* station) {
  const size_t max_tokens = station->model->info().max_tokens;
  for (size_t num_tokens = 1; num_tokens <= options_.warm_up_tokens; num_tokens *= 2) {
    ids_.assign(num_tokens, 0);
    type_ids_.assign(num_tokens, 0);
    starts_.assign(1, 0);
    while (starts_.back() < num_tokens && starts_.size() <= options_.max_batch_texts) {
      starts_.push_back(static_cast<uint32_t>(std::min(starts_.back() + max_tokens, num_tokens)));
    }
    if (starts_.back() < num_tokens) break;  // only with a very small limit of texts
    if (absl::Status status = ComputePacked(station); !status.ok()) {
      return absl::Status(status.code(), absl::StrCat("warm-up: ", status.message()));
    }
  }
  station->workspace->Forget();
  return absl::OkStatus();
}

void ComputeWorker::Run(Heartbeat* beat) {
  while (true) {
    const absl::Duration spare_after = ShadowsWait() ? kSpareAfter : absl::InfiniteDuration();
    BatchWork work = parts_.queue->Take(spare_after);
    if (work.stopped) return;
    BusyScope busy(beat);
    CountRests();  // of the pass before
    if (work.is_spare) {
      ComputeShadow();
      continue;
    }
    for (const auto& call : work.dropped) call->Finish(call->CheckWanted(work.cut_at));
    if (work.to_tokenize != nullptr) parts_.tokenize_stage->TokenizeHere(work.to_tokenize, &text_buffer_);
    if (work.texts.empty()) continue;
    // L12: whatever is thrown costs this batch, not the worker.
    try {
      Process(work.texts, work.cut_at);
    } catch (const std::exception&) {
      parts_.metrics->worker_faults->Increment();
      ready_.clear();
      for (const BatchText& text : work.texts) text.call->Finish(WorkerFault());
    }
  }
}

void ComputeWorker::CountRests() {
  if (!pacer_) return;
  const absl::Duration rested = pacer_->rested();
  parts_.metrics->cpu_rests->Increment(absl::ToDoubleSeconds(rested - rests_counted_));
  rests_counted_ = rested;
}

void ComputeWorker::Process(const std::vector<BatchText>& texts, MonotonicTime batch_start) {
  Call& first = *texts.front().call;
  for (const BatchText& text : texts) {
    // The queue has just dropped what is expired: this counts a failure of that rule.
    if (text.call->deadline() <= batch_start) parts_.metrics->computed_after_expiry->Increment();
  }
  Station* const station = StationOf(first.served());
  const MonotonicTime start = parts_.clock->Now();
  const absl::Status status = Compute(station, texts);
  const absl::Duration compute_time = parts_.clock->Now() - start;
  const size_t num_tokens = ids_.size();
  parts_.admission->RecordBatch(num_tokens, compute_time);
  first.metrics()->batch_tokens->Observe(static_cast<double>(num_tokens));
  first.metrics()->batch_texts->Observe(static_cast<double>(texts.size()));
  delivered_.clear();
  if (status.ok()) {
    Deliver(station, texts, start, compute_time);
  } else {
    parts_.metrics->worker_faults->Increment();
    ComputeOneByOne(station, texts, start);
    delivered_.clear();  // each text's outputs have overwritten those of the one before
  }
  if (IsTraced(texts)) {  // before an answer ends a trace
    const MonotonicTime end = parts_.clock->Now();
    TraceBatch(texts, {.begin = batch_start,
                       .compute_begin = start,
                       .compute_end = status.ok() ? start + compute_time : end,
                       .end = end,
                       .num_tokens = num_tokens});
  }
  SendAnswers();
  for (const DeliveredText& done : delivered_) {
    station->shadow->Offer(done.text->call->encoding(done.text->text_idx), done.output);
  }
}

void ComputeWorker::Pack(std::span<const BatchText> texts) {
  ids_.clear();
  type_ids_.clear();
  starts_.assign(1, 0);
  for (const BatchText& text : texts) {
    const text::Encoding& encoding = text.call->encoding(text.text_idx);
    ids_.insert(ids_.end(), encoding.ids.begin(), encoding.ids.end());
    type_ids_.insert(type_ids_.end(), encoding.type_ids.begin(), encoding.type_ids.end());
    type_ids_.resize(ids_.size(), 0);
    starts_.push_back(static_cast<uint32_t>(ids_.size()));
  }
}

absl::Status ComputeWorker::Compute(Station* station, std::span<const BatchText> texts) {
  Pack(texts);
  return ComputePacked(station);
}

absl::Status ComputeWorker::ComputePacked(Station* station) {
  output_starts_.assign(1, 0);
  for (size_t t = 0; t + 1 < starts_.size(); ++t) {
    output_starts_.push_back(output_starts_.back() + station->model->OutputSize(starts_[t + 1] - starts_[t]));
  }
  return station->model->Compute({ids_, type_ids_, starts_}, station->workspace.get(),
                                 station->outputs.span().first(output_starts_.back()));
}

// After a refusal of the whole batch: finds the texts at fault, so that their neighbours are answered.
void ComputeWorker::ComputeOneByOne(Station* station, std::span<const BatchText> texts, MonotonicTime batch_start) {
  for (size_t i = 0; i < texts.size(); ++i) {
    const std::span<const BatchText> one = texts.subspan(i, 1);
    const absl::Status status = texts.size() > 1 ? Compute(station, one) : WorkerFault();
    if (status.ok()) {
      Deliver(station, one, batch_start, parts_.clock->Now() - batch_start);
    } else {
      ready_.push_back({one[0].call, WorkerFault()});
    }
  }
}

void ComputeWorker::Deliver(Station* station, std::span<const BatchText> texts, MonotonicTime batch_start,
                            absl::Duration compute_time) {
  for (size_t i = 0; i < texts.size(); ++i) {
    Call& call = *texts[i].call;
    if (call.finished()) continue;
    std::span<float> output =
        station->outputs.span().subspan(output_starts_[i], output_starts_[i + 1] - output_starts_[i]);
    bool finite = model::IsFinite(output);
    if (const auto& dimensions = call.plan().dimensions) {
      output = output.first(model::FinishEmbedding(output, *dimensions, call.plan().normalize));
      // Dividing can overflow as well: nothing that is not finite leaves.
      finite = finite && model::IsFinite(output);
    }
    if (call.wants_hidden_states()) finite = DeliverHiddenStates(*station, i, &call, texts[i].text_idx) && finite;
    if (finite && station->shadow != nullptr) delivered_.push_back({&texts[i], output});
    if (!finite) {
      call.metrics()->non_finite->Increment();
      ready_.push_back({texts[i].call, absl::InternalError("non-finite output")});
    } else if (call.SetOutput(texts[i].text_idx, output, batch_start, compute_time)) {
      ready_.push_back({texts[i].call, call.TakeResponse()});
    }
  }
}

bool ComputeWorker::DeliverHiddenStates(const Station& station, size_t batch_idx, Call* call, size_t text_idx) {
  const size_t begin = starts_[batch_idx], num_tokens = starts_[batch_idx + 1] - begin;
  const MatrixView<const float> rows = station.model->HiddenStates(*station.workspace).Rows(begin, num_tokens);
  call->SetHiddenStates(text_idx, rows);
  for (size_t row = 0; row < num_tokens; ++row) {
    if (!model::IsFinite(rows.Row(row))) return false;
  }
  return true;
}

void ComputeWorker::SendAnswers() {
  size_t begin = 0;
  const size_t num_ready = ready_.size();
  // With nothing waiting the team would idle anyway.
  if (num_ready > kAnswersSentHere && !parts_.queue->Empty()) {
    while (begin < num_ready) {
      const size_t end = std::min(begin + kAnswersPerPost, num_ready);
      std::vector<ReadyAnswer> part(std::make_move_iterator(ready_.begin() + begin),
                                    std::make_move_iterator(ready_.begin() + end));
      parts_.tokenize_stage->PostAnswer([part = std::move(part)]() mutable {
        for (ReadyAnswer& answer : part) answer.call->Finish(std::move(answer.result));
      });
      begin = end;
    }
  }
  for (; begin < num_ready; ++begin) ready_[begin].call->Finish(std::move(ready_[begin].result));
  ready_.clear();
}

bool ComputeWorker::ShadowsWait() const {
  return std::any_of(shadows_.begin(), shadows_.end(), [](const auto& shadow) { return shadow->HasWork(); });
}

void ComputeWorker::ComputeShadow() {
  if (shadows_stopped_.load(std::memory_order_relaxed)) {
    for (const auto& shadow : shadows_) shadow->DropAll(ShadowDrop::kDraining);
    return;
  }
  if (parts_.admission->Use().pending_bytes > 0) return;  // texts that are being tokenized are work as well
  while (!shadows_[next_shadow_]->HasWork()) next_shadow_ = (next_shadow_ + 1) % shadows_.size();
  shadows_[next_shadow_]->ComputeNext();
  next_shadow_ = (next_shadow_ + 1) % shadows_.size();
}

}  // namespace octet::serving
