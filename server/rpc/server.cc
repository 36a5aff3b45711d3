#include "server/rpc/server.h"

#include <algorithm>
#include <atomic>
#include <thread>
#include <utility>

#include "base/mutex.h"
#include "server/rpc/admin_service.h"
#include "server/rpc/cq_transport.h"
#include "server/rpc/services.h"
#include "server/tracing/tracer.h"

namespace octet::rpc {
namespace {

// How stale the health name `liveness` may be; probes ask every few seconds.
constexpr absl::Duration kLivenessPeriod = absl::Milliseconds(500);
constexpr char kLiveness[] = "liveness";

// Limits that follow from the options and the largest of the models.
RequestLimits LimitsOf(const serving::PipelineOptions& pipeline, const RpcOptions& rpc,
                       const serving::ModelRepository& repository) {
  RequestLimits limits = {.max_texts = pipeline.max_texts_per_call,
                          .max_text_bytes = pipeline.max_text_bytes,
                          .max_response_bytes = rpc.max_send_message_bytes};
  for (const auto& served : repository.List()) {
    const model::ModelInfo& info = served->model->info();
    limits.max_text_tokens = std::max<size_t>(limits.max_text_tokens, info.max_tokens);
    if (info.task == model::Task::kEmbedding) {
      limits.max_dimensions = std::max<size_t>(limits.max_dimensions, info.hidden_dim);
    }
  }
  return limits;
}

}  // namespace

struct GrpcServer::State {
  ServiceContext context;
  std::unique_ptr<Transport> transport;
  std::atomic<bool> serving{false};

  std::thread liveness_thread;
  Mutex mu;
  CondVar stopped;
  bool stopping ABSL_GUARDED_BY(mu) = false;

  // Every name but `liveness` says whether calls are welcome; a service whose task no model has never is.
  void PublishServing() {
    const bool value = serving.load();
    transport->SetHealth("", value);
    for (const ServiceName& service : ServiceNames()) {
      transport->SetHealth(service.name, value && IsOffered(service, *context.repository));
    }
    for (const auto& served : context.repository->List()) transport->SetHealth(served->name, value);
  }

  void PublishLiveness() { transport->SetHealth(kLiveness, context.pipeline->Health().live); }

  void WatchLiveness() {
    MutexLock lock(&mu);
    while (!stopping) {
      PublishLiveness();
      stopped.WaitWithTimeout(&mu, kLivenessPeriod);
    }
  }

  void Stop(absl::Duration timeout) {
    {
      MutexLock lock(&mu);
      stopping = true;
    }
    stopped.SignalAll();
    if (liveness_thread.joinable()) liveness_thread.join();
    if (transport != nullptr) transport->Shutdown(timeout);
  }
};

std::vector<std::string> MethodNames() {
  std::vector<std::string> names;
  for (Method& method : MakeMethods(nullptr)) names.push_back(std::move(method.name));
  for (Method& method : MakeAdminMethods(nullptr)) names.push_back(std::move(method.name));
  return names;
}

absl::StatusOr<std::unique_ptr<GrpcServer>> GrpcServer::Create(const RpcOptions& options, serving::Pipeline* pipeline,
                                                               const serving::ModelRepository* repository,
                                                               serving::Metrics* metrics, const Clock* clock) {
  auto state = std::make_unique<State>();
  state->context = {.pipeline = pipeline,
                    .repository = repository,
                    .metrics = metrics,
                    .clock = clock,
                    .serving = &state->serving,
                    .limits = LimitsOf(pipeline->options(), options, *repository),
                    .server_version = options.server_version,
                    .max_concurrent_calls = options.posted_calls * options.completion_queues};
  auto transport = StartCqTransport(options, MakeMethods(&state->context), metrics, clock);
  if (!transport.ok()) return transport.status();
  state->transport = *std::move(transport);
  if (options.watchers.tracer != nullptr) {
    const std::string host = options.address.substr(0, options.address.rfind(':'));
    const bool is_every_interface = host.empty() || host == "0.0.0.0" || host == "[::]";
    options.watchers.tracer->SetServerAddress({is_every_interface ? "" : host, state->transport->port()});
  }
  state->PublishServing();
  state->PublishLiveness();  // not left to the thread: a probe may come before its first turn
  state->liveness_thread = std::thread([s = state.get()] { s->WatchLiveness(); });
  return std::unique_ptr<GrpcServer>(new GrpcServer(std::move(state)));
}

GrpcServer::GrpcServer(std::unique_ptr<State> state) : state_(std::move(state)) {}
GrpcServer::~GrpcServer() { state_->Stop(absl::ZeroDuration()); }

int GrpcServer::port() const { return state_->transport->port(); }
std::vector<std::string> GrpcServer::addresses() const { return state_->transport->addresses(); }

void GrpcServer::SetServing(bool serving) {
  state_->serving.store(serving);
  state_->PublishServing();
}

bool GrpcServer::serving() const { return state_->serving.load(); }

void GrpcServer::Shutdown(absl::Duration timeout) { state_->Stop(timeout); }

}  // namespace octet::rpc
